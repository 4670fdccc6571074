"""CarRacing's drawing: Gymnasium's physics with our pictures, with Gymnasium's own, and EnvPool, on one core."""

from __future__ import annotations

import numpy as np

from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.raw_envpool import ACTION, raw_rate
from world_models.envs.frames import resize_frames
from world_models.envs.gym_env import GymLanes

LANES, STEPS, OWN_STEPS = 4, size(200), size(30)
COMPARED, EVERY = 400, 5


def step_rate(redrawn: bool, steps: int) -> float:
    """Environment steps a second with constant actions, without the resets."""
    lanes = GymLanes("CarRacing-v3", LANES, redrawn=redrawn)
    everyone = np.arange(LANES)
    lanes.reset(everyone, range(LANES))
    actions = np.tile(np.array(ACTION, np.float32), (LANES, 1))

    def work() -> float:
        for _ in range(steps):
            lanes.step(everyone, actions)
        return LANES * steps

    rate = rate_of(work)
    lanes.close()
    return rate


def difference() -> float:
    """Mean absolute difference, of 255, of the stored pictures (64 x 64) of one noisy drive in both drawings."""
    rng = np.random.default_rng(0)
    actions = np.repeat(rng.uniform([-1, 0, 0], [1, 1, 0.2], (COMPARED // 20, 1, 3)), 20, axis=0).astype(np.float32)
    drives = []
    for redrawn in (False, True):
        lanes = GymLanes("CarRacing-v3", 1, redrawn=redrawn)
        lane = np.zeros(1, int)
        native = [lanes.reset(lane, [7])] + [lanes.step(lane, action).observations for action in actions]
        lanes.close()
        drives.append(resize_frames(np.concatenate(native[::EVERY]), rows=84).astype(int))
    return float(np.abs(drives[0] - drives[1]).mean())


def main() -> None:
    """Four lanes of 200 steps (Gymnasium's own: 30) in one process."""
    rates = interleaved(
        {
            "redrawn": lambda: step_rate(True, STEPS),
            "Gymnasium": lambda: step_rate(False, OWN_STEPS),
            "raw EnvPool": lambda: raw_rate(LANES, 1, STEPS),
        }
    )
    goals = {("redrawn", "Gymnasium"): 6.0, ("redrawn", "raw EnvPool"): 0.8}
    differs = {"difference": round(difference(), 3), "difference_goal": 0.5}
    report("view", "environment steps/s", rates, goals, lanes=LANES, steps=STEPS, **differs)


if __name__ == "__main__":
    main()
