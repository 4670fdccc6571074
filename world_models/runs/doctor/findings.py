"""What doctor finds: lines with a judgement, and never a traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from world_models.envs.contract.failures import raised
from world_models.errors import WorldModelsError

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One line: `kind` is "ok", "note" or "problem", `part` what was looked at, `about` which side of it."""

    kind: str
    part: str
    about: str
    text: str


@dataclass
class Findings:
    """All of them, in their order; `part` is what is being looked at now."""

    all: list[Finding] = field(default_factory=list)
    part: str = ""

    def ok(self, about: str, text: str) -> None:
        """As it should be."""
        self.all.append(Finding(OK, self.part, about, text))

    def note(self, about: str, text: str) -> None:
        """Worth knowing; it keeps nothing from working."""
        self.all.append(Finding(NOTE, self.part, about, text))

    def problem(self, about: str, text: str) -> None:
        """A run would stop here, or learn nothing."""
        self.all.append(Finding(PROBLEM, self.part, about, text))

    @contextlib.contextmanager
    def looking(self, about: str) -> Iterator[None]:
        """What is raised in the block is a problem of `about`, and the block ends there."""
        try:
            yield
        except WorldModelsError as error:
            self.problem(about, " ".join(str(error).split()))
        except (Exception, SystemExit) as error:
            self.problem(about, f"looking at it raised {raised(error)}.")

    @property
    def problems(self) -> list[Finding]:
        """Those of that kind."""
        return [finding for finding in self.all if finding.kind == PROBLEM]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": not self.problems, "findings": [asdict(finding) for finding in self.all]}

    def as_text(self) -> str:
        """For people: a heading for each part, a line for each finding."""
        lines: list[str] = []
        width = max((len(finding.about) for finding in self.all), default=0)
        for number, finding in enumerate(self.all):
            if number == 0 or self.all[number - 1].part != finding.part:
                lines += ["", finding.part]
            lines.append(f"  {finding.kind:<8} {finding.about:<{width}}  {finding.text}")
        return "\n".join(lines[1:])

    def summary(self) -> str:
        """The last line."""
        notes = sum(finding.kind == NOTE for finding in self.all)
        problems = len(self.problems)
        return f"{_counted(problems, 'problem')}, {_counted(notes, 'note')}, {len(self.all) - notes - problems} ok"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
