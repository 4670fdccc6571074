"""What the documentation's pages ask a reader to run: commands and Python, in the order in which they stand there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "sh", "shell", "console")
# What `code` within a sentence or a table begins with where it is meant to be run.
_RUN_INLINE = re.compile(r"(world-models|python -m|pip install|\.venv/bin/\w+|make( [A-Z]+=\S+)*) \w")
_CALLED_INLINE = re.compile(r"gymnasium\.make\w*\(.+\)")
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```[ ]*$", re.M | re.S)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_FILE_NAME = re.compile(r"`([\w./-]+\.py)`:?\s*\Z")
_CODE = re.compile(r"exit code (\d+)")


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        page: The page's path from the repository's root.
        line: Where it stands, from 1.
        kind: "command", "python", or "file" (Python that the page says to put into `name`).
        text: The command in one line, or the code.
        code: The exit code that the page says the command ends with.
        name: Of a file.
    """

    page: str
    line: int
    kind: str
    text: str
    code: int = 0
    name: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text.splitlines()[0][:60]}"


def pages() -> list[str]:
    """Every page that tells a reader what to do, by its path."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("docs", "checkpoints", "benchmarks"):
        found += sorted((ROOT / folder).glob("*.md"))
    return [str(path.relative_to(ROOT)) for path in found]


def records() -> list[str]:
    """The paths of the notebook's pages: records of past runs, whose commands are not run."""
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs/notebook").glob("*.md"))]


def read(page: str) -> str:
    """The page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [textwrap.dedent(match[3]) for match in _FENCE.finditer(text) if match[2] == language]


def steps(page: str) -> list[Step]:
    """The page's steps in order; a command that stands there twice is one step."""
    text, found, known = read(page), list[Step](), set[str]()
    for step in sorted([*_fenced(page, text), *_inline(page, text)], key=lambda step: step.line):
        if step.kind != "command" or step.text not in known:
            found.append(step)
        known.add(step.text)
    return found


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _fenced(page: str, text: str) -> Iterator[Step]:
    for match in _FENCE.finditer(text):
        line, language, block = _line(text, match.start()) + 1, match[2], textwrap.dedent(match[3])
        if language in SHELLS:
            for offset, command, code in _commands(block, prompted=language == "console"):
                yield Step(page, line + offset, "command", command, code)
        elif language == "python":
            named = _FILE_NAME.search(text[: match.start()])
            kind, name = ("file", named[1]) if named else ("python", "")
            yield Step(page, line, kind, block, name=name)


def _commands(block: str, prompted: bool) -> Iterator[tuple[int, str, int]]:
    """(line within the block, command, exit code); with prompts, lines without `$` are what a command prints."""
    lines = block.splitlines()
    for number, line in enumerate(lines):
        whole, after = line, number + 1
        if number and lines[number - 1].endswith("\\"):
            continue
        while whole.endswith("\\"):
            whole, after = whole[:-1].rstrip() + " " + lines[after].lstrip(), after + 1
        if prompted and not whole.startswith("$ "):
            continue
        command, _, remark = whole.removeprefix("$ ").partition(" #")
        said = _CODE.search(remark)
        printed = [] if not prompted else _until_prompt(lines[after:])
        refused = any(each.startswith("error: ") for each in printed)
        if command.strip() and not command.startswith("#"):
            yield number, command.strip(), int(said[1]) if said else 2 if refused else 0


def _until_prompt(lines: list[str]) -> list[str]:
    prompts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    return lines[: prompts[0]] if prompts else lines


def _inline(page: str, text: str) -> Iterator[Step]:
    blank = _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for match in _INLINE.finditer(blank):
        code = " ".join(match[1].split()).replace("\\|", "|")
        if _RUN_INLINE.match(code):
            yield Step(page, _line(text, match.start()), "command", code)
        elif _CALLED_INLINE.fullmatch(code) and "..." not in code:  # dots leave something out
            yield Step(page, _line(text, match.start()), "python", f"import gymnasium\nimport world_models\n{code}\n")


def anchors(page: str) -> set[str]:
    """What a link into the page can name: its headings as GitHub writes them in an address."""
    blank = _FENCE.sub("", read(page))
    heads = re.findall(r"^#+ +(.+?) *$", blank, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: str) -> list[str]:
    """Where the page's links and pictures lead, but for those to other hosts."""
    found = re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", read(page)))
    return [each for each in found if not re.match(r"[a-z]+:", each)]
