"""The data: how much there is, where it comes from, how it was driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from world_models.report import page
from world_models.report.data import Data
from world_models.report.figures import plots
from world_models.report.run import Run
from world_models.report.sections.common import charts, text

_NAMES = {"CarRacing": ("steering", "gas", "brake"), "TakeCover": ("left, stay, right",)}
_WIDE = "Good: wide. V and M know only what they have seen, failures and successes."
_ALL = "Good: nothing that C may do is missing."
_MOST_CHARTS = 6  # of actions
_MOST_VALUES = 200_000  # a histogram needs no more


def data_section(run: Run, folder: Path) -> page.Section:
    """Counts and origins, histograms of returns, lengths and actions."""
    lead = "Rollouts that V and M learned from."
    if run.data is None:
        missing = page.note("The report was made without a data folder (--data_dir), so it cannot tell of the data.")
        return page.Section("data", "Data", lead, (missing,))
    data = run.data
    pieces = [_facts(data), _origins(data), charts(folder, _returns(data), "Data")]
    pieces.append(charts(folder, _actions(data, run.env_name), "Data"))
    if data.looked_at < data.files:
        pieces.append(page.note(f"Told from {data.looked_at:,} of the {data.files:,} rollouts, evenly spread."))
    return page.Section("data", "Data", lead, tuple(pieces))


def _facts(data: Data) -> str:
    return page.facts(
        {
            "rollouts": text(data.files),
            "frames": text(sum(data.lengths)),
            "mean length": f"{np.mean(data.lengths):,.0f} steps",
            "mean return": f"{np.mean(data.returns):,.1f}",
            "best return": f"{max(data.returns):,.1f}",
            "ended by themselves": text(data.terminals),
        }
    )


def _origins(data: Data) -> str:
    rows = [(policy, backend, env, text(count)) for (env, backend, policy), count in data.origins]
    return page.table(("driven by", "backend", "environment", "rollouts"), rows)


def _returns(data: Data) -> list[plots.Plot]:
    made: list[plots.Plot] = [
        plots.Histogram("data_returns", "Returns of the rollouts", "return", (("rollouts", data.returns),), good=_WIDE)
    ]
    if min(data.lengths) < max(data.lengths):
        lengths = tuple(map(float, data.lengths))
        made.append(
            plots.Histogram("data_lengths", "Lengths of the rollouts", "steps", (("rollouts", lengths),), good=_WIDE)
        )
    return made


def _actions(data: Data, env_name: str | None) -> list[plots.Plot]:
    """A histogram an action; one chart of bars where an action is a choice."""
    size = data.actions.shape[1]
    if size > 1 and _is_choice(data):
        shares = tuple(float(share) for share in data.actions.mean(0))
        labels = tuple(str(number) for number in range(size))
        return [plots.Bars("data_actions", "Actions: how often each is chosen", "action", labels, shares, good=_ALL)]
    names = next((each for game, each in _NAMES.items() if game in (env_name or "")), ())
    made: list[plots.Plot] = []
    for column in range(min(size, _MOST_CHARTS)):
        values = data.actions[:: max(1, len(data.actions) // _MOST_VALUES), column]
        name = names[column] if len(names) == size else f"action {column}"
        group = ((name, tuple(values.tolist())),)
        made.append(plots.Histogram(f"data_action_{column}", f"Actions: {name}", name, group, shares=True, good=_ALL))
    return made


def _is_choice(data: Data) -> bool:
    """One-hot rows mean a discrete action, whatever made them."""
    ones = (data.actions == 1).sum(1) == 1
    zeros = (data.actions == 0).sum(1) == data.actions.shape[1] - 1
    return bool((ones & zeros).all())
