"""A program that dreams in worker processes: `python tests/dream_workers.py METHOD LOGDIR [busy] WAY ...`.

It imports the package inside a function: workers that are no forks run the top of the main module alone, as do
those of a notebook.
"""

import sys


def gymnasium_make_vec(name, method, logdir):
    import gymnasium

    return gymnasium.make_vec(
        name, num_envs=2, vectorization_mode="async", vector_kwargs={"context": method}, logdir=logdir
    )


def gymnasium_async(name, method, logdir):
    import gymnasium

    return gymnasium.vector.AsyncVectorEnv([lambda: gymnasium.make(name, logdir=logdir)] * 2, context=method)


def stable_baselines(name, method, logdir):
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    kind, how = (SubprocVecEnv, {"start_method": method}) if method != "none" else (DummyVecEnv, {})
    return make_vec_env(name, 2, vec_env_cls=kind, vec_env_kwargs=how, env_kwargs={"logdir": logdir})


def gymnasium_with_the_module(name, method, logdir):
    return gymnasium_async(f"world_models:{name}", method, logdir)


# Stable-Baselines3 first: it makes no dream in this process, the others make one.
WAYS = {
    each.__name__: each for each in (stable_baselines, gymnasium_make_vec, gymnasium_async, gymnasium_with_the_module)
}


def be_busy():
    """PyTorch's threads of the parent are at work, which do not survive a fork."""
    import torch

    torch.set_num_threads(2)
    (torch.rand(800, 800) @ torch.rand(800, 800)).exp().sum()
    torch.nn.Conv2d(3, 8, 3)(torch.rand(4, 3, 64, 64)).sum().backward()


def first_and_last(envs, seed):
    """What two dreams begin with, and where eight steps of the same action lead."""
    import numpy as np

    if hasattr(envs, "seed"):  # Stable-Baselines3's
        envs.seed(seed)
        first = envs.reset()
    else:
        first, _ = envs.reset(seed=seed)
    first = np.array(first)
    for _ in range(8):
        last = envs.step(np.ones((2, 2), np.float32))[0]
    return np.stack([first, last])


def dream(way, method, logdir):
    envs = WAYS[way]("world_models/Dream-v0", method, logdir)
    seen, other, again = (first_and_last(envs, seed) for seed in (3, 8, 3))
    envs.close()
    assert (seen == again).all(), "a seed gives the same dreams on repeat"
    assert (seen[:, 0] != seen[:, 1]).any(1).all(), "each environment has a dream of its own"
    assert (seen != other).any(), "another seed gives other dreams"
    print("dreamed", way, method, seen.shape, flush=True)


def main(method, logdir, *ways):
    import world_models  # noqa: F401

    if "busy" in ways:
        be_busy()
    for way in WAYS:
        if way in ways:
            dream(way, method, logdir)


if __name__ == "__main__":
    main(*sys.argv[1:])
