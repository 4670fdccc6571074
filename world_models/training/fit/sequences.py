"""What M has to learn from: how many episodes, how many of them short, and whether any comes to an end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from world_models.configs.wm_config import WMMDNRNNConfig
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import inspect_rollout, list_rollouts
from world_models.datasets.windows import least_rows
from world_models.errors import ConfigError, DataError
from world_models.notices import say_once
from world_models.training.fit.settings import MdrnnSettings
from world_models.training.fit.splits import training_files
from world_models.types import BoolArray, IntArray

_LOG = logging.getLogger(__name__)


class Episodes(NamedTuple):
    """The training part: rows of each episode, and whether a terminal is among them, (E,) each."""

    lengths: IntArray
    ended: BoolArray

    @classmethod
    def of_files(cls, files: Sequence[Path]) -> Episodes:
        """Read from rollout files, their frames left out. Raises DataError as `inspect_rollout`."""
        terminals = [inspect_rollout(path).terminals for path in files]
        return cls(np.array([len(each) for each in terminals]), np.array([(each > 0.5).any() for each in terminals]))

    @classmethod
    def of_cache(cls, cache: FrameCache, count: int) -> Episodes:
        """The first `count` of a cache."""
        ended = [bool((cache.rollout(index).terminals > 0.5).any()) for index in range(count)]
        return cls(cache.lengths[:count], np.array(ended, dtype=bool))


def check_folder(config: WMMDNRNNConfig) -> None:
    """`check_sequences` of the files in `config.data_dir`: before V is trained, and without writing anything."""
    files = list_rollouts(config.data_dir)
    check_sequences(
        config, Episodes.of_files(files[: training_files(files, MdrnnSettings.from_config(config).num_test_files)[0]])
    )


def check_sequences(config: WMMDNRNNConfig, episodes: Episodes) -> None:
    """M can be trained on these episodes as `config` asks; that short ones are padded is said once.

    Raises:
        DataError: None has the rows that M learns from.
        ConfigError: `terminal_weight` weighs ends, and no episode ends.
    """
    weight = MdrnnSettings.from_config(config).terminal_weight
    used = episodes.lengths >= least_rows(weight > 0)
    if not used.any():
        raise DataError(
            f"{config.data_dir}: none of the {len(used)} episodes to train on has the {least_rows(weight > 0)} rows "
            f"that M learns from (the longest has {max(episodes.lengths, default=0)}); collect longer episodes"
        )
    if weight and not episodes.ended.any():
        raise ConfigError(
            f"terminal_weight={weight:g} weighs the rows where episodes end, and none of the {len(used)} episodes to "
            f"train on in {config.data_dir} ends in a terminal; leave it out (--set rnn.terminal_weight=0), or collect "
            "episodes that come to their end (a larger --rollout_len)"
        )
    _say(config.seq_len, episodes.lengths[used], len(used) - int(used.sum()))


def _say(seq_len: int, lengths: IntArray, too_short: int) -> None:
    padded = int((lengths <= seq_len).sum())
    if not padded and not too_short:
        return
    told = f"mdrnn: M trains on {len(lengths)} episodes ({lengths.sum()} rows)"
    if padded:
        told += f"; {padded} of them are shorter than seq_len + 1 = {seq_len + 1} and are padded"
    if too_short:
        told += f"; {too_short} more have too few rows to learn from"
    say_once(_LOG, "%s", told)
