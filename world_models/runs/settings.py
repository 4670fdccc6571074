"""The settings of a whole run, each of them a flag of `world-models run`, `collect` and `train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from world_models.configs.presets import PRESETS
from world_models.envs.choices import Backend, Policy
from world_models.typed import About, Count, Number, Positive, Target, Text, Whole

Steps = Annotated[int, Ge(1), Le(1_000_000)]
"""What drives plans an episode's noise at once: a million steps are room, beyond them is a slip of the finger."""
Rate = Annotated[Positive, Le(1)]


@dataclass(frozen=True)
class Flag(About):
    """A setting that has a flag.

    Attributes:
        group: Under which heading it stands in `--help`.
        metavar: Its value there, where the type does not say enough.
        usually: What it is where nobody says, if that is no constant.
    """

    group: str = "run"
    metavar: str = ""
    usually: str = ""


@dataclass(frozen=True)
class RunSettings:
    """What a run is told, with the specification's defaults; a preset's table `flags` has others."""

    stage: Annotated[
        Literal["all", "vae", "rnn", "ctrl"], Flag("train this stage only; all: collect, then V, M, C")
    ] = "all"
    preset: Annotated[Text, Flag(f"named settings: {', '.join(PRESETS)}", metavar="NAME")] = "default"
    rounds: Annotated[
        Annotated[int, Ge(1), Le(1000)],
        Flag("times to drive, add the rollouts and train all again", "rounds", usually="the preset's, else 1"),
    ] = 1
    seed: Annotated[Whole, Flag("seed of everything")] = 0
    device: Annotated[Text, Flag("where to compute: auto, cpu, cuda, cuda:1, ...", metavar="NAME")] = "auto"
    data_dir: Annotated[Text, Flag("folder of rollouts", metavar="DIR", usually="./data/<env>")] = ""
    logdir: Annotated[Text, Flag("folder of checkpoints and logs", metavar="DIR", usually="./results/<env>")] = ""
    noreload: Annotated[bool, Flag("start anew, whatever lies in logdir")] = False
    generate_only: Annotated[bool, Flag("collect rollouts and stop")] = False
    test: Annotated[bool, Flag("drive the trained model instead of training")] = False

    env: Annotated[Text, Flag("Gymnasium id; CarRacing-v2 is an alias of CarRacing-v3", "", "environment", "ID")] = (
        "CarRacing-v2"
    )
    backend: Annotated[Backend, Flag("simulator for collecting and evolution", "", "environment")] = "auto"

    num_rollouts: Annotated[
        Annotated[int, Ge(1), Le(1_000_000)], Flag("how many data_dir shall have", "rollouts", "data")
    ] = 1000
    rollout_len: Annotated[Steps, Flag("longest rollout", "steps", "data", usually="the environment's, else 1000")] = (
        1000
    )
    policy: Annotated[Policy, Flag("who drives; brownian is correlated noise", "", "data")] = "brownian"
    spread: Annotated[
        Number, Flag("of --policy agent: how far its controllers are from the best one", "steps of its search", "data")
    ] = 0.0
    num_workers: Annotated[Count, Flag("how many collect", "processes", "data")] = 8
    num_test_files: Annotated[
        Whole | None, Flag("held-out part", "rollout files", "data", usually="600, or a tenth of fewer")
    ] = None

    latent_size: Annotated[Count, Flag("size of z", "numbers", "V (vae)")] = 32
    vae_epochs: Annotated[Count, Flag("how long V is trained", "epochs", "V (vae)")] = 10
    vae_batch_size: Annotated[Count, Flag("batch size", "frames", "V (vae)")] = 32
    vae_lr: Annotated[Rate, Flag("learning rate", "", "V (vae)")] = 1e-3
    nosamples: Annotated[bool, Flag("no sample sheets", "", "V (vae)")] = False

    rnn_hidden: Annotated[Count, Flag("size of h", "numbers", "M (rnn)")] = 256
    gmm_components: Annotated[Count, Flag("size of the mixture", "gaussians", "M (rnn)")] = 5
    action_size: Annotated[
        Count | None, Flag("size of an action", "numbers", "M (rnn)", usually="the environment's")
    ] = None
    seq_len: Annotated[Count, Flag("length of a sequence", "steps", "M (rnn)")] = 32
    rnn_epochs: Annotated[Count, Flag("how long M is trained", "epochs", "M (rnn)")] = 30
    rnn_batch_size: Annotated[Count, Flag("batch size", "sequences", "M (rnn)")] = 16
    rnn_lr: Annotated[Rate, Flag("learning rate", "", "M (rnn)")] = 1e-3
    precompute_latents: Annotated[bool, Flag("encode all frames once before training", "", "M (rnn)")] = True
    amp: Annotated[bool, Flag("bf16 mixed precision", "", "M (rnn)")] = False

    ctrl_pop_size: Annotated[Annotated[int, Ge(2)], Flag("population size", "candidates", "C (ctrl)")] = 10
    ctrl_samples: Annotated[Count, Flag("evaluations of a candidate", "episodes", "C (ctrl)")] = 4
    ctrl_workers: Annotated[Count, Flag("how many drive candidates, at most", "processes", "C (ctrl)")] = 32
    ctrl_target: Annotated[Target, Flag("return at which evolution stops", "reward", "C (ctrl)")] = 950.0
    ctrl_time_limit: Annotated[
        Steps, Flag("longest episode", "steps", "C (ctrl)", usually="the environment's, else 1000")
    ] = 1000
    ctrl_generations: Annotated[
        Count | None, Flag("after which evolution stops", "generations", "C (ctrl)", usually="the preset's, else none")
    ] = None

    episodes: Annotated[Count, Flag("how many give the final score", "episodes", "score")] = 16

    tensorboard: Annotated[bool, Flag("figures and sample frames for TensorBoard", "", "logs")] = True
    wandb: Annotated[bool, Flag("log to Weights & Biases as well (needs the extra wandb)", "", "logs")] = False
    film_every: Annotated[
        Whole | None,
        Flag(
            "between two films of C in TensorBoard; 0: none", "re-evaluations", "logs", usually="the preset's, else 0"
        ),
    ] = None
