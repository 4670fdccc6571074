"""Where dreams begin: real first latents, real sequences to warm M up with, and the range of the latents.

`<logdir>/mdrnn/starts.npz` lies beside the M that dreams. It holds what V saw, not M's state after it, so that it
is good for any M of the same V.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from world_models.datasets.formats.npz import open_npz, read_array, write_npz
from world_models.datasets.latents import Latents
from world_models.errors import DataError
from world_models.types import FloatArray, IntArray

WARM_UP = 32  # rows of a sequence: M's state forgets its zero beginning within fewer
_MOST_FIRST, _MOST_WARM = 1024, 256
_RANGE_SIGMAS = 5.0  # a draw of V's own latents leaves the range once in 3 million
_ROWS_AT_ONCE = 100_000
_DIMENSIONS = {
    "first_mu": 2,
    "first_logsigma": 2,
    "warm_mu": 3,
    "warm_logsigma": 3,
    "warm_actions": 3,
    "low": 1,
    "high": 1,
}
_MEND = "train M again (--stage rnn), or give `world-models dream` the --data_dir to make it from"


@dataclass(frozen=True)
class DreamStarts:
    """Where dreams begin: first latents, warm-up sequences, and the range of the latents.

    Attributes:
        first_mu, first_logsigma: (F, Z) float32, V's mean and log standard deviation of first frames.
        warm_mu, warm_logsigma: (n, W, Z) float32, of sequences from the middle of episodes.
        warm_actions: (n, W, A) float32, what was done in them.
        low, high: (Z,) float32, the range of the latents that M was trained on.
        fingerprint: Of the V that saw them (`vae_fingerprint`).
        env_name: The environment's id; "" where it is not known.
        env_kwargs: What it was made with, as JSON; "" for nothing.
    """

    first_mu: FloatArray
    first_logsigma: FloatArray
    warm_mu: FloatArray
    warm_logsigma: FloatArray
    warm_actions: FloatArray
    low: FloatArray
    high: FloatArray
    fingerprint: str
    env_name: str = ""
    env_kwargs: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def latents(self) -> int:
        """Z."""
        return int(self.first_mu.shape[1])


def starts_path(logdir: str | Path) -> Path:
    """`<logdir>/mdrnn/starts.npz`."""
    return Path(logdir) / "mdrnn" / "starts.npz"


def make_starts(latents: Latents, env_name: str = "", seed: int = 0, env_kwargs: str = "") -> DreamStarts:
    """Beginnings drawn from latents: up to 1024 first frames, and up to 256 sequences of 32 rows.

    Episodes are chosen at even distances, sequences at random places anywhere in all episodes. Where most episodes
    are shorter than 32 rows the sequences are, too: half of the episodes are always long enough for one.
    """
    offsets, lengths = latents.offsets, latents.lengths
    first = offsets[np.linspace(0, len(offsets) - 1, min(_MOST_FIRST, len(offsets))).astype(np.int64)]
    width = int(min(WARM_UP, np.median(lengths)))
    rows = _warm_rows(offsets, lengths, width, np.random.default_rng(seed))
    low, high = _range(latents)
    return DreamStarts(
        first_mu=latents.mu[first],
        first_logsigma=latents.logsigma[first],
        warm_mu=latents.mu[rows],
        warm_logsigma=latents.logsigma[rows],
        warm_actions=latents.actions[rows],
        low=low,
        high=high,
        fingerprint=latents.fingerprint,
        env_name=env_name,
        env_kwargs=env_kwargs,
    )


def starts_at(
    mu: FloatArray, actions: int, fingerprint: str = "", low: FloatArray | None = None, high: FloatArray | None = None
) -> DreamStarts:
    """One beginning, exactly this latent (Z,), for M of so many actions; without `low` and `high` nothing is out of
    range."""
    certain = np.full_like(mu, -100)  # e^-100 is nothing
    nowhere = np.zeros((1, 1, actions), np.float32)
    most = np.full_like(mu, np.finfo(np.float32).max)
    ends = (-most if low is None else low, most if high is None else high)
    return DreamStarts(mu[None], certain[None], mu[None, None], certain[None, None], nowhere, *ends, fingerprint)


def _range(latents: Latents) -> tuple[FloatArray, FloatArray]:
    """(Z,) least and greatest that draws of these latents come to; some rows at a time, to spare memory."""
    lows, highs = [], []
    for start in range(0, len(latents.mu), _ROWS_AT_ONCE):
        mu = latents.mu[start : start + _ROWS_AT_ONCE]
        reach = _RANGE_SIGMAS * np.exp(latents.logsigma[start : start + _ROWS_AT_ONCE])
        lows.append((mu - reach).min(0))
        highs.append((mu + reach).max(0))
    return np.min(lows, 0), np.max(highs, 0)


def _warm_rows(offsets: IntArray, lengths: IntArray, width: int, rng: np.random.Generator) -> IntArray:
    """(n, width) rows of random windows, none across an episode's end; long episodes have more of them."""
    places = np.maximum(lengths - width + 1, 0)
    chosen = np.sort(rng.choice(places.sum(), size=min(_MOST_WARM, int(places.sum())), replace=False))
    ends = np.cumsum(places)
    episode = np.searchsorted(ends, chosen, side="right")
    begin = offsets[episode] + chosen - (ends - places)[episode]
    rows: IntArray = begin[:, None] + np.arange(width)
    return rows


def save_starts(path: str | Path, starts: DreamStarts) -> None:
    """Writes starts to `path`, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    arrays = {name: getattr(starts, name) for name in _DIMENSIONS}
    facts = {name: np.asarray(getattr(starts, name)) for name in ("fingerprint", "env_name", "env_kwargs")}
    write_npz(Path(path), arrays | facts, compress=True)


def load_starts(path: str | Path) -> DreamStarts:
    """Reads starts, checked.

    Raises:
        DataError: the file is missing, damaged, or breaks the schema; the message says how to make it.
    """
    path = Path(path)
    with open_npz(path, _MEND) as archive:
        arrays = {name: read_array(archive, name) for name in _DIMENSIONS}
        fingerprint, env_name = (str(read_array(archive, name)) for name in ("fingerprint", "env_name"))
        has_kwargs = "env_kwargs" in archive.names  # files from before there were any have none
        env_kwargs = str(read_array(archive, "env_kwargs")) if has_kwargs else ""
    try:
        return DreamStarts(**arrays, fingerprint=fingerprint, env_name=env_name, env_kwargs=env_kwargs)
    except DataError as error:
        raise DataError(f"{path}: {error}; {_MEND}") from error


def _check(starts: DreamStarts) -> None:
    """Raises DataError where dtypes or shapes are at odds, or there is nothing to begin with."""
    for name, dimensions in _DIMENSIONS.items():
        array = getattr(starts, name)
        if array.dtype != np.float32 or array.ndim != dimensions or not np.isfinite(array).all():
            raise DataError(
                f"{name} is {array.dtype} of shape {array.shape}, not {dimensions} dimensions of finite float32"
            )
    latents = starts.first_mu.shape[1]
    sizes = {name: getattr(starts, name).shape[-1] for name in _DIMENSIONS if name != "warm_actions"}
    odd = [name for name, size in sizes.items() if size != latents]
    if odd or starts.warm_mu.shape != starts.warm_logsigma.shape or len(starts.first_mu) != len(starts.first_logsigma):
        raise DataError(f"the shapes of {', '.join(odd) or 'mu and logsigma'} do not fit those of the others")
    if starts.warm_actions.shape[:2] != starts.warm_mu.shape[:2]:
        raise DataError(f"warm_actions has shape {starts.warm_actions.shape} and warm_mu {starts.warm_mu.shape}")
    if not len(starts.first_mu) or not starts.warm_mu.shape[0] or not starts.warm_mu.shape[1]:
        raise DataError("there is no first latent or no sequence in it")
    if not (starts.low < starts.high).all():
        raise DataError("low is not below high everywhere")
