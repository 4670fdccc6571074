"""What a run can choose from: who draws and steps the environment, and who drives it while data are collected."""

from __future__ import annotations

from typing import Literal, get_args

Backend = Literal["auto", "redrawn", "envpool", "gymnasium"]
"""Gymnasium's own environment; the same with its frames drawn faster; EnvPool's; auto: the fastest there is."""

Policy = Literal["agent", "brownian", "uniform"]
"""The trained run's agent, correlated noise, or uniform noise."""

BACKENDS: tuple[str, ...] = get_args(Backend)
POLICIES: tuple[str, ...] = get_args(Policy)
EVALUATION_SEED = 10_000  # seeds from here on are for scores alone
