"""V: what it keeps of a frame, what it imagines, what each latent draws."""

from __future__ import annotations

from collections.abc import Sequence
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
from world_models.report.sections.common import charts, curves_or_note, last, least, named, wide
from world_models.types import UInt8Array
from world_models.vision.VAE.ConvVAE import ConvVAE

_COLUMNS = 10


def vae_section(run: Run, folder: Path) -> page.Section:
    """V: frames, reconstructions and samples, latents one by one, its curves."""
    pieces = [_facts(run.logs["vae"])]
    if run.vae is None:
        pieces.append(page.note("V is not trained in this run yet."))
    elif run.rollout is None or run.frames is None:
        pieces.append(
            page.note("No reconstructions: the report was made without a data folder and without an episode.")
        )
        pieces += [_imagined(run.vae, folder), _traversals(run.vae, None, None, folder, "zero")]
    else:
        pieces += _pictures(run.vae, run.rollout.observations, run.frames, run.rollout_file, folder)
    pieces.append(curves_or_note(folder, curves.vae_charts(run.logs["vae"]), "V"))
    return page.Section("v", "V: what it sees", "V squeezes each frame into a few numbers, the latents.", tuple(pieces))


def _facts(log: Sequence[curves.LogLine]) -> str:
    return page.facts(
        named(
            {
                "epochs": last(log, "epoch"),
                "best held-out loss": least(log, "test_loss"),
                "latents in use": last(log, "active_latents"),
            }
        )
    )


def _pictures(vae: ConvVAE, episode: UInt8Array, frames: UInt8Array, source: str, folder: Path) -> list[str]:
    rows = pictures.evenly(len(episode), _COLUMNS)
    made = pictures.sheet(sample_rows(vae, np.ascontiguousarray(episode[rows])))
    caption = (
        f"{len(rows)} frames of {source}, evenly spread, what V's latents keep of each, and what V draws "
        "of latents taken from the standard normal."
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
    return wide(folder, "imagined", made, "Samples of V", "What V draws of latents taken from the standard normal.")


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
    words = f"{which}: from three standard deviations below its mean to three above. The others stay at {others}."
    return page.grid(figures) + page.caption(words)


def _kl_bars(facts: LatentFacts) -> plots.Plot:
    """The latents' KL, the greatest first; those that are not active in grey, after the others."""
    active = [latent for latent in facts.order if facts.variance[latent] > ACTIVE_VARIANCE]
    idle = [latent for latent in facts.order if facts.variance[latent] <= ACTIVE_VARIANCE]
    order = active + idle
    return plots.Bars(
        "vae_kl_per_latent",
        f"What each latent tells: KL in nats ({facts.active} of {len(order)} active)",
        "latent",
        tuple(map(str, order)),
        tuple(float(facts.kl[latent]) for latent in order),
        first_muted=len(active),
    )
