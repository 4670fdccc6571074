"""`python -m tests.docs.settings_page`: writes docs/settings.md anew, from the types that read the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from world_models.old_names import OLD_NAMES
from world_models.runs.stages import PARTS, settable
from world_models.search.algorithms.phase import Phase
from world_models.typed import about, default_of, kinds_of, needs

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
TITLES = {
    "collect": "Collecting: `collect`",
    "vae": "V: `vae`",
    "rnn": "M: `rnn`",
    "ctrl": "C: `ctrl`",
    "dream": "The dream: `dream`",
}
TOP = """# Settings

A run's flags are in `world-models run --help`. These further settings have no flag: `--set STAGE.NAME=VALUE` sets one,
where VALUE is JSON, or text where it is none; so does a preset, and `extra` of a stage's config in Python. Every value
is checked before anything is driven or trained, and all that cannot work is said at once.
"""
PHASES = """A phase begins again from the best controller so far. `ctrl.phases` is a list of tables with these settings,
those without a default in each:
"""
OLD = """## Old names

What was written with these names still works; each is said once.
"""


def page() -> str:
    """The page as it should be."""
    parts = [TOP]
    for stage, title in TITLES.items():
        parts.append(f"## {title}\n\n{_table(PARTS[stage], sorted(settable(stage)))}")
        if stage == "ctrl":
            parts.append(f"### Phases\n\n{PHASES}\n{_table(Phase, list(kinds_of(Phase)))}")
    rows = "".join(f"| `{old}` | `{new}` |\n" for old, new in OLD_NAMES.items())
    return "\n".join([*parts, f"{OLD}\n| old | today |\n|---|---|\n{rows}"])


def _table(part: type[Any], names: list[str]) -> str:
    lines = ["| name | default | is | meaning |\n|---|---|---|---|\n"]
    for name in names:
        said, default = about(part, name), _default(part, name)
        unit = f", in {said.unit}" if said.unit else ""
        kind = "a list of tables" if name == "phases" else needs(kinds_of(part)[name])
        lines.append(f"| `{name}` | {default} | {kind}{unit} | {said.help} |\n")
    return "".join(lines)


def _default(part: type[Any], name: str) -> str:
    if part is Phase and name in ("sigma", "pop_size", "samples", "env_steps"):
        return ""
    return f"`{json.dumps(default_of(part, name))}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
