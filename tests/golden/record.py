"""`python -m tests.golden.record`: writes the golden traces anew. The commit that holds them says why they changed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.scenes import play
from world_models.utils.precision import processor_name
from world_models.utils.versions import versions

TRACES = Path(__file__).with_name("traces")


def machine() -> dict[str, Any]:
    """Where equal traces are equal to the last bit."""
    return {"processor": processor_name(), **{name: versions()[name] for name in ("torch", "numpy", "gymnasium")}}


def main() -> None:
    """Play all scenes and write a file for each."""
    with tempfile.TemporaryDirectory() as folder:
        traces = play(Path(folder))
    TRACES.mkdir(exist_ok=True)
    for name, trace in traces.items():
        text = json.dumps({"made_on": machine(), "trace": trace}, indent=1)
        (TRACES / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
