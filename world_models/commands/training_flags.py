"""The flags of the training command, written once for both entry points."""

from __future__ import annotations

import argparse

from world_models.configs.presets import PRESETS
from world_models.envs.env_kwargs import add_env_kwargs
from world_models.rollout.driver import BACKENDS, POLICIES

_STAGES = ("all", "vae", "rnn", "ctrl")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Every documented flag; a flag that is not given stays None until `resolve` fills it in."""
    add = parser.add_argument
    add("--env", metavar="ID", help="a Gymnasium id (CarRacing-v2, an alias of CarRacing-v3)")
    add_env_kwargs(parser)
    add("--stage", choices=_STAGES, default="all", help="train this stage only (all: collect, then all three)")
    add("--preset", metavar="NAME", default="default", help=f"named settings: {', '.join(PRESETS)}")
    add("--generate_only", action="store_true", help="collect rollouts and stop")
    add("--test", action="store_true", help="drive the trained model instead of training")
    add("--data_dir", metavar="DIR", help="rollouts (./data/<env>)")
    add("--logdir", metavar="DIR", help="checkpoints and logs (./results/<env>)")
    add("--device", help="auto, cpu, cuda, cuda:1, ... (auto)")
    add("--seed", type=int, help="of everything (0)")
    add("--noreload", action="store_true", help="start anew, whatever lies in logdir")
    add("--nosamples", action="store_true", help="no sample sheets of V")
    sizes = (
        ("--latent_size", "Z"),
        ("--rnn_hidden", "R"),
        ("--gmm_components", "K"),
        ("--action_size", "A; by default the environment's"),
        ("--seq_len", "steps of M's sequences"),
        ("--vae_epochs", ""),
        ("--vae_batch_size", ""),
        ("--rnn_epochs", ""),
        ("--rnn_batch_size", ""),
        ("--ctrl_pop_size", "candidates a generation"),
        ("--ctrl_samples", "episodes a candidate"),
        ("--ctrl_workers", "processes at most"),
        ("--ctrl_time_limit", "steps of an episode at most"),
        ("--ctrl_generations", "stop after so many"),
        ("--film_every", "re-evaluations of C between two films of it in TensorBoard (0: no film)"),
        ("--num_rollouts", "files in data_dir"),
        ("--rollout_len", "steps of a rollout at most"),
        ("--num_workers", "processes that collect"),
        ("--num_test_files", "files held out"),
        ("--rounds", "times to drive, add the rollouts, train V and M again and evolve on (with --stage all)"),
    )
    for flag, text in sizes:
        add(flag, type=int, metavar="N", help=text or None)
    numbers = (
        ("--vae_lr", ""),
        ("--rnn_lr", ""),
        ("--ctrl_target", "stop at this return"),
        ("--spread", "of --policy agent: steps of its search about the best controller (0)"),
    )
    for flag, text in numbers:
        add(flag, type=float, metavar="X", help=text or None)
    add("--set", action="append", metavar="STAGE.NAME=VALUE", help="a setting without a flag: ctrl.use_hidden=false")
    add("--policy", choices=POLICIES, help="who drives while collecting (brownian: correlated noise)")
    add("--backend", choices=BACKENDS, help="simulator for collection and evolution (auto)")
    _switch(parser, "precompute_latents", "encode all frames once before M is trained")
    _switch(parser, "amp", "train M in bf16 mixed precision", "--use_amp")
    _switch(parser, "tensorboard", "figures and sample frames for TensorBoard beside the logs (--no_tensorboard: none)")
    _switch(parser, "wandb", "and for Weights & Biases (needs the extra wandb)")


def _switch(parser: argparse.ArgumentParser, name: str, text: str, *others: str) -> None:
    parser.add_argument(f"--{name}", *others, dest=name, action="store_true", default=None, help=text)
    parser.add_argument(f"--no_{name}", dest=name, action="store_false", default=None, help=argparse.SUPPRESS)
