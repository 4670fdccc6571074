"""The end of a run: its figures as a file and as a table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes `value` at once or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def table(summary: dict[str, Any]) -> str:
    """The end of a run in a few lines."""
    lines = [
        f"\n{summary['env']} in Gymnasium, {summary['trained']['episodes']} episodes never trained on",
        "",
    ]
    lines.append(f"{'policy':<20}{'mean':>9}   {'std':>7}{'min':>9}{'max':>9}")
    for who, name in (("random", "random"), ("trained", "trained controller")):
        s = summary[who]
        lines.append(f"{name:<20}{s['mean']:>9.1f} ± {s['std']:>7.1f}{s['min']:>9.1f}{s['max']:>9.1f}")
    spent = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in summary["seconds"].items())
    return "\n".join([*lines, "", f"Time: {spent}"])
