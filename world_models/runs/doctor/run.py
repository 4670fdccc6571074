"""A run's folder: which stages are there, and whether their sizes fit each other and the environment."""

from __future__ import annotations

from pathlib import Path

from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.envs.contract.probe import Probe
from world_models.envs.env_kwargs import named, parse_env_kwargs
from world_models.models.load import load_controller, load_mdrnn, load_vae
from world_models.runs.doctor.findings import Findings
from world_models.utils.run_dir import best_path, checkpoint_path

_NAMES = {"vae": "V", "mdrnn": "M", "ctrl": "C"}


def look_at_run(found: Findings, logdir: Path, probe: Probe | None) -> None:
    """The stages, each read; `probe` is the environment, None where that is not known."""
    found.part = f"Run {logdir}"
    if not logdir.exists():
        found.note("stages", "the folder is not there yet: a run will make it.")
        return
    there = {stage: best_path(logdir, stage).is_file() for stage in _NAMES}
    begun = [name for stage, name in _NAMES.items() if not there[stage] and checkpoint_path(logdir, stage).is_file()]
    missing = [name for stage, name in _NAMES.items() if not there[stage]]
    told = f"trained: {', '.join(name for stage, name in _NAMES.items() if there[stage]) or 'none'}"
    told += f"; begun: {', '.join(begun)}" if begun else ""
    (found.note if missing else found.ok)("stages", told)
    latents: dict[str, int] = {}
    actions: dict[str, int] = {}
    if there["vae"]:
        with found.looking("V"):
            latents["V"] = load_vae(logdir).latent_size
            found.ok("V", f"{latents['V']} latents")
    if there["mdrnn"]:
        with found.looking("M"):
            memory = load_mdrnn(logdir)
            latents["M"], actions["M"] = memory.latents, memory.actions
            found.ok("M", ", ".join(f"{value} {name}" for name, value in memory.sizes.items()))
        with found.looking("starts"):
            if starts_path(logdir).is_file():
                starts = load_starts(starts_path(logdir))
                found.ok(
                    "starts", f"{len(starts.first_mu)} first frames of {starts.env_name or 'an unknown environment'}"
                )
            else:
                found.note("starts", "there is no mdrnn/starts.npz: `dream` needs --data_dir to make it.")
    if there["ctrl"]:
        with found.looking("C"):
            _look_at_controller(found, logdir, probe, latents, actions)
    _look_at_sizes(found, latents, actions, probe)


def _look_at_controller(
    found: Findings, logdir: Path, probe: Probe | None, latents: dict[str, int], actions: dict[str, int]
) -> None:
    controller, facts = load_controller(logdir)
    latents["C"], actions["C"] = controller.latent_size, controller.action_size
    own = named(str(facts.get("env_name") or "an unknown environment"), parse_env_kwargs(facts.get("env_kwargs")))
    told = f"{controller.latent_size} latents, {controller.hidden_size} hidden units, {controller.action_size} actions"
    if probe is not None and own != named(probe.env_id, probe.env_kwargs):
        found.note("C", f"{told}, of {own}; what is looked at here is {named(probe.env_id, probe.env_kwargs)}.")
    else:
        found.ok("C", f"{told}, of {own}")


def _look_at_sizes(found: Findings, latents: dict[str, int], actions: dict[str, int], probe: Probe | None) -> None:
    if probe is not None:
        actions = {**actions, "the environment": probe.action_size}
    fits = True
    for what, sizes in (("latents", latents), ("actions", actions)):
        if len(set(sizes.values())) > 1:
            fits = False
            told = ", ".join(f"{who} has {size}" for who, size in sizes.items())
            found.problem("sizes", f"{what} do not fit: {told}; train again what is of another run, or name its --env.")
    if fits and len(latents) + len(actions) > 2:
        found.ok("sizes", "they fit each other" + (" and the environment" if probe else ""))
