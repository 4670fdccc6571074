"""The whole run: collect, V, M, C, score, report; each part can also be asked for alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from world_models import budgets
from world_models.configs.presets import Preset
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.rollout_files import find_rollouts
from world_models.envs.choices import EVALUATION_SEED
from world_models.envs.contract.probe import check_environment
from world_models.envs.env_kwargs import named
from world_models.envs.registry import canonical_id
from world_models.errors import CheckpointError, ConfigError
from world_models.models.load import load_vae
from world_models.rollout.driver import Recipe, choose_backend
from world_models.runs.collection import generate_rollouts
from world_models.runs.dream import train_in_dream
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.runs.preflight import check_at_least, check_data, check_rollouts, check_settings, check_split
from world_models.runs.repeat import note_run
from world_models.runs.report import report_run
from world_models.runs.stages import ControllerOfRound, MdrnnOfRound, VaeOfRound, dream_of, read_stages
from world_models.runs.summary import table, write_json
from world_models.search.suitability import check_run
from world_models.training.fit.sequences import check_folder
from world_models.training.train_controller import train_controller
from world_models.training.train_convvae import train_convae
from world_models.training.train_mdn_rnn import train_mdn_rnn
from world_models.typed import kinds_of, renamed
from world_models.types import FRAME_SIZE
from world_models.utils.device import resolve_device
from world_models.utils.precision import arithmetic
from world_models.utils.run_dir import best_path
from world_models.utils.tracking import Tracking
from world_models.utils.versions import versions

Result = TypeVar("Result")


class Pipeline:
    """One run's stages with resolved settings (`runs.resolve`), checked before anything is written.

    Args:
        args: The settings.
        earlier: Folder of the round before this one: its agent drives while collecting, its C is gone on from.
    """

    def __init__(self, args: argparse.Namespace, earlier: Path | None = None) -> None:
        self.args = args
        self.earlier = earlier
        self.preset: Preset = args.table
        self.env_id = canonical_id(args.env)
        self.device = str(resolve_device(args.device, strict=args.device != "auto"))
        self.action_size = self._action_size()
        self.seconds: dict[str, float] = {}
        self.vae_config, self.rnn_config, self.ctrl_config = self._configs()
        check_settings(args, self.ctrl_config)
        self.dream = dream_of(self.preset.dream) if self.preset.dream else None
        check_run(args, self.preset, self.vae_config, self.rnn_config, self.ctrl_config)

    def _action_size(self) -> int:
        made_with = self.args.env_kwargs
        size = check_environment(
            self.env_id, made_with, choose_backend(self.env_id, self.args.backend, made_with)
        ).action_size
        asked = self.args.action_size
        if asked is not None and asked != size:
            raise ConfigError(
                f"--action_size {asked} does not fit: {named(self.env_id, made_with)} has {size} actions."
            )
        return size

    def _configs(self) -> tuple[WMVAEConfig, WMMDNRNNConfig, WMControllerConfig]:
        a = self.args
        common = {"seed": a.seed, "tensorboard": a.tensorboard, "wandb": a.wandb}
        Tracking.from_extra(common)
        test = {} if a.num_test_files is None else {"num_test_files": a.num_test_files}
        self.stages = read_stages(self.preset)
        vae = {**renamed(self.preset.vae, kinds_of(VaeOfRound)), **common, **test}
        rnn = {**renamed(self.preset.rnn, kinds_of(MdrnnOfRound)), **common, **test}
        vae.pop("frozen", None)
        rnn.pop("from_previous_round", None)
        ctrl = {
            **renamed(self.preset.ctrl, kinds_of(ControllerOfRound)),
            **common,
            "backend": a.backend,
            "noreload": a.noreload,
            "device": self.device,
            "env_kwargs": dict(a.env_kwargs),
        }
        if a.ctrl_generations is not None:
            ctrl["max_generations"] = a.ctrl_generations
        if a.film_every is not None:
            ctrl["film_every"] = a.film_every
        carried = ctrl.pop("from_previous_round", True)
        if self.earlier is not None:
            ctrl |= {"whitening_rollouts": a.data_dir} | ({"refit_from": str(self.earlier)} if carried else {})
        folders: dict[str, Any] = {"logdir": a.logdir}
        return (
            WMVAEConfig(
                height=FRAME_SIZE,
                width=FRAME_SIZE,
                latent_size=a.latent_size,
                device=self.device,
                train_batch_size=a.vae_batch_size,
                num_epochs=a.vae_epochs,
                data_dir=a.data_dir,
                learning_rate=a.vae_lr,
                noreload=a.noreload,
                nosamples=a.nosamples,
                extra=vae,
                **folders,
            ),
            WMMDNRNNConfig(
                latent_size=a.latent_size,
                action_size=self.action_size,
                hidden_size=a.rnn_hidden,
                gmm_components=a.gmm_components,
                device=self.device,
                batch_size=a.rnn_batch_size,
                seq_len=a.seq_len,
                num_epochs=a.rnn_epochs,
                data_dir=a.data_dir,
                learning_rate=a.rnn_lr,
                noreload=a.noreload,
                extra=rnn,
                **folders,
            ),
            WMControllerConfig(
                latent_size=a.latent_size,
                hidden_size=a.rnn_hidden,
                action_size=self.action_size,
                env_name=self.env_id,
                n_samples=a.ctrl_samples,
                pop_size=a.ctrl_pop_size,
                target_return=a.ctrl_target,
                max_workers=a.ctrl_workers,
                time_limit=a.ctrl_time_limit,
                extra=ctrl,
                **folders,
            ),
        )

    def _timed(self, stage: str, work: Callable[[], Result]) -> Result:
        started = time.monotonic()
        result = work()
        self.seconds[stage] = round(time.monotonic() - started, 1)
        return result

    # -- the stages ----------------------------------------------------------------------------------

    def collect(self) -> None:
        """Fill the data folder up to num_rollouts."""
        a = self.args
        check_rollouts(a.data_dir, find_rollouts(a.data_dir), self.env_id, self.action_size)
        driver = a.logdir if self.earlier is None else self.earlier
        if a.policy == "agent":
            require_run(driver)
        self._timed(
            "collect",
            lambda: generate_rollouts(
                a.data_dir,
                self.env_id,
                a.num_rollouts,
                a.rollout_len,
                a.num_workers,
                policy=a.policy,
                backend=a.backend,
                seed=a.seed,
                hopeless=self.stages["collect"].early_termination,
                logdir=driver,
                spread=a.spread,
                mirrored=self.stages["collect"].mirrored,
                env_kwargs=a.env_kwargs,
            ),
        )

    def check_data(self) -> None:
        """The data folder can be trained on."""
        a = self.args
        check_data(a.data_dir, self.env_id, self.action_size, a.num_test_files)

    def train_vae(self) -> None:
        """Stage V; where a later round keeps it, it lies there already."""
        self.check_data()
        if self.stages["vae"].frozen and self.earlier is not None:
            return
        self._timed("vae", lambda: train_convae(self.vae_config))

    def train_rnn(self) -> None:
        """Stage M."""
        self.check_data()
        load_vae(self.args.logdir)  # without V nothing needs to be read, made or said
        self._timed(
            "mdrnn",
            lambda: train_mdn_rnn(
                self.vae_config,
                self.rnn_config,
                use_precomputed_latents=self.args.precompute_latents,
                use_amp=self.args.amp,
            ),
        )

    def train_ctrl(self) -> None:
        """Stage C, in the dream where the preset has one."""
        if self.dream is None:
            self._timed("ctrl", lambda: train_controller(self.ctrl_config))
            return
        rules, pessimism = self.dream
        self._timed("ctrl", lambda: train_in_dream(self.ctrl_config, rules, pessimism))

    def train(self) -> None:
        """The stages that --stage asks for; "all" collects first."""
        stages = {"vae": self.train_vae, "rnn": self.train_rnn, "ctrl": self.train_ctrl}
        if self.args.stage != "all":
            stages[self.args.stage]()
            return
        check_split(self.args.num_test_files, self.args.num_rollouts)
        self.collect()
        check_folder(self.rnn_config)
        note_run(self.args, self.env_id, self.device)
        for stage in stages.values():
            stage()

    # -- what comes after ----------------------------------------------------------------------------

    def score(self, episodes: int) -> dict[str, Any]:
        """summary.json: a random policy against the trained controller in Gymnasium's own environment."""
        limit = self.args.ctrl_time_limit
        made_with = self.args.env_kwargs
        random = Recipe(
            self.env_id, backend="gymnasium", policy="uniform", draw=False, time_limit=limit, env_kwargs=made_with
        )
        trained = run_recipe(self.args.logdir, self.env_id, time_limit=limit, env_kwargs=made_with)
        scores = self._timed(
            "evaluate",
            lambda: {
                "random": evaluate_recipe(random, episodes, EVALUATION_SEED, title="random"),
                "trained": evaluate_recipe(trained, episodes, EVALUATION_SEED, title="trained"),
            },
        )
        keep = ("mean", "std", "min", "max", "episodes", "returns", "steps", "seeds")
        return {
            "env": self.env_id,
            **({"env_kwargs": dict(made_with)} if made_with else {}),
            "backend": "gymnasium",
            "preset": self.args.preset,
            "seed": self.args.seed,
            **{who: {key: score[key] for key in keep} for who, score in scores.items()},
            "seconds": dict(self.seconds),
            "arithmetic": arithmetic(self.device),
            "versions": versions(),
            **budgets.facts(),
        }

    def report(self, summary: dict[str, Any]) -> Path:
        """The report folder: curves, pictures, dreams, a video of the agent."""
        a = self.args
        return report_run(a.logdir, a.data_dir, summary=summary, time_limit=a.ctrl_time_limit, env_kwargs=a.env_kwargs)

    def run(self, episodes: int) -> dict[str, Any]:
        """Everything, from pixels to summary.json and the report; a run that was stopped goes on."""
        check_at_least("episodes", episodes, 1)
        self.train()
        summary = self.score(episodes)
        target = Path(self.args.logdir) / "summary.json"
        write_json(target, summary)
        page = self._timed("report", lambda: self.report(summary))
        summary["seconds"] = dict(self.seconds)
        write_json(target, summary)
        print(table(summary))
        print(f"\nReport:  {page}\nSummary: {target}")
        return summary


def require_run(logdir: str | Path) -> None:
    """There is a trained controller in logdir.

    Raises:
        CheckpointError: there is none; the message names the file.
    """
    if not best_path(logdir, "ctrl").is_file():
        raise CheckpointError(
            f"{best_path(logdir, 'ctrl')} does not exist: train a run there first, or name its --logdir."
        )
