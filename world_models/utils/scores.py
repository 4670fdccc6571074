"""What a run has scored: `<logdir>/summary.json` of a whole run, `<logdir>/evaluation.json` of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.errors import DataError


def read_scores(root: Path) -> Mapping[str, Any]:
    """summary.json, with evaluation.json's score as the trained agent's where there is one; {} without either.

    Raises:
        DataError: one of them is no JSON object.
    """
    summary = dict(json_object(root / "summary.json", "evaluate again, or remove the file"))
    score = json_object(root / "evaluation.json", "write it anew with evaluate --json")
    if "mean" in score:
        summary["trained"] = score
        summary.setdefault("backend", score.get("backend", "not recorded"))
        summary.setdefault("env", score.get("env"))
    return summary


def json_object(path: Path, mend: str) -> Mapping[str, Any]:
    """The JSON object in a file; {} where there is no file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: this is not JSON ({error}); {mend}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a JSON object is needed, got a {type(content).__name__}; {mend}.")
    return content
