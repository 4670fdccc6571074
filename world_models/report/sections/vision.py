"""V: what it keeps of a frame, what it imagines, what each latent draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from world_models.report import page
from world_models.report.figures import curves, pictures, plots
from world_models.report.figures.latents import (
    ACTIVE_VARIANCE,
    LatentFacts,
    latent_facts,
    prior_row,
    sample_rows,
    traversals,
)
from world_models.report.run import Run
from world_models.report.sections.common import charts, curves_or_note, held_out_loss, last, named, restarts_note, wide
from world_models.types import UInt8Array
from world_models.vision.VAE.ConvVAE import ConvVAE

_COLUMNS = 10
_IMAGINED = "What V draws of latents taken from the standard normal. Good: they could be frames."


def vae_section(run: Run, folder: Path) -> page.Section:
    """V: frames, reconstructions and samples, latents one by one, its curves."""
    pieces = [_facts(run)]
    if run.vae is None:
        pieces.append(page.note("V is not trained in this run yet."))
    elif run.rollout is None or run.frames is None:
        pieces.append(
            page.note("No reconstructions: the report was made without a data folder and without an episode.")
        )
        pieces += [_imagined(run.vae, folder), _traversals(run.vae, None, None, folder, "zero")]
    else:
        pieces += _pictures(run.vae, run.rollout.observations, run.frames, run.rollout_file, folder)
    pieces += [curves_or_note(folder, curves.vae_charts(run.logs["vae"]), "V"), restarts_note(run.logs["vae"])]
    return page.Section("v", "V: what it sees", "V squeezes each frame into a few numbers, the latents.", tuple(pieces))


def _facts(run: Run) -> str:
    log = run.logs["vae"]
    told = named({"epochs": last(log, "epoch"), "held-out loss": held_out_loss(run, "vae")})
    active = _active_latents(run)
    if active is None:
        return page.facts(told)
    of = f" of {run.vae.latent_size}" if run.vae is not None else ""
    about = (
        "A latent is in use where its mean varies by more than "
        f"{ACTIVE_VARIANCE:g} over frames (Burda et al. 2015); training counts them on what it holds out."
    )
    return page.facts(told | {"latents in use": f"{active}{of}"}) + page.caption(about)


def _active_latents(run: Run) -> int | None:
    """As training counted them on held-out frames; where it did not, over the frames that V is shown on."""
    counted = run.facts.get("vae", {}).get("active_latents") or last(run.logs["vae"], "active_latents")
    if counted is not None:
        return int(counted)
    return None if run.vae is None or run.frames is None else latent_facts(run.vae, run.frames).active


def _pictures(vae: ConvVAE, episode: UInt8Array, frames: UInt8Array, source: str, folder: Path) -> list[str]:
    rows = pictures.evenly(len(episode), _COLUMNS)
    made = pictures.sheet(sample_rows(vae, np.ascontiguousarray(episode[rows])))
    caption = (
        f"{len(rows)} frames of {source}, evenly spread, what V's latents keep of each, and what V draws "
        "of latents taken from the standard normal. Good: the second row keeps all that matters for acting, and the "
        "third could be frames."
    )
    facts = latent_facts(vae, frames)
    middle = episode[len(episode) // 2]
    return [
        wide(folder, "reconstructions", made, "Original frames over reconstructions over samples", caption),
        _traversals(vae, middle, facts, folder, f"those of the middle frame of {source}"),
        charts(folder, [_kl_bars(facts)], "V"),
    ]


def _imagined(vae: ConvVAE, folder: Path) -> str:
    made = pictures.sheet([prior_row(vae, _COLUMNS)])
    return wide(folder, "imagined", made, "Samples of V", _IMAGINED)


def _traversals(vae: ConvVAE, frame: UInt8Array | None, facts: LatentFacts | None, folder: Path, others: str) -> str:
    """Two sheets side by side, the first latents on the left."""
    rows = traversals(vae, frame, facts)
    half = -(-len(rows) // 2)
    figures = []
    for number, part in enumerate(filter(None, (rows[:half], rows[half:])), 1):
        made = pictures.png(pictures.sheet(part, scale=1.5))
        (folder / f"traversals_{number}.png").write_bytes(made)
        figures.append(page.picture(made, "Latent traversals: " + ", ".join(name for name, _ in part)))
    which = "The latents that tell most, one a row" if facts is not None else "The first latents, one a row"
    words = f"{which}: from three standard deviations below its mean to three above. The others stay at {others}. "
    words += "Good: each row changes one thing that matters."
    return page.grid(figures) + page.caption(words)


def _kl_bars(facts: LatentFacts) -> plots.Plot:
    """The latents' KL, the greatest first."""
    return plots.Bars(
        "vae_kl_per_latent",
        "What each latent tells: KL in nats",
        "latent",
        tuple(map(str, facts.order)),
        tuple(float(facts.kl[latent]) for latent in facts.order),
        good="Good: many latents tell something. One at 0 tells nothing of these frames.",
    )
