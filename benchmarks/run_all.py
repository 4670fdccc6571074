"""All benchmarks, each in a process of its own, one after the other; writes benchmarks/RESULTS.md."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from world_models import budgets

HERE = Path(__file__).parent
ALL = (
    "view",
    "rollout",
    "collect",
    "vae_training",
    "rnn_training",
    "latents",
    "dream",
    "dream_vector",
    "memory",
    "page",
)


def run(name: str) -> dict[str, Any]:
    """The record of one benchmark; its other output goes to the terminal."""
    print(f"-- {name}", file=sys.stderr, flush=True)
    module = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(module, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True)
    record: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(record), flush=True)
    return record


def rows(record: dict[str, Any]) -> list[str]:
    """The table's rows of one record."""
    name = record["benchmark"]
    if name == "memory":
        met = "yes" if record["peak"] <= record["goal"] else "no"
        passes = ", ".join(f"{peak:.0f}" for peak in record["passes"])
        return [f"| {name} | peak private memory, MB, by pass | {passes} | | ≤ {record['goal']:.0f} | {met} |"]
    found = []
    for pair, ratio in record["ratios"].items():
        met = "yes" if ratio["median"] >= ratio["goal"] else "no"
        between = f"{ratio['min']:.2f} to {ratio['max']:.2f}"
        found.append(f"| {name} | {pair} | {ratio['median']:.2f} | {between} | ≥ {ratio['goal']} | {met} |")
    if "difference" in record:
        difference, goal = record["difference"], record["difference_goal"]
        met = "yes" if difference <= goal else "no"
        found.append(f"| {name} | mean difference of pixels, of 255 | {difference:.2f} | | ≤ {goal} | {met} |")
    return found


def rates(record: dict[str, Any]) -> list[str]:
    """The rates behind one record's ratios."""
    lines = []
    for case, rate in record.get("rates", {}).items():
        between = f"{rate['min']:,.0f} to {rate['max']:,.0f}"
        lines.append(f"| {record['benchmark']} | {case} | {rate['median']:,.0f} | {between} | {record['unit']} |")
    return lines


def page(records: list[dict[str, Any]]) -> str:
    """RESULTS.md."""
    machine = records[0]["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    turns = min((record["repeats"] for record in records if "repeats" in record), default=0)
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench`. A ratio is taken within each of {turns} interleaved turns; shown are its median",
        "and its least and greatest. Absolute rates say more about the machine than about this package.",
        "",
        f"Machine: {machine['processor']} ({machine['number_format']}), {machine['cores']} cores, {machine['system']}; "
        f"accelerator: {machine['accelerator'] or 'none'}; {versions}.",
        "",
        "| benchmark | ratio | median | least to greatest | goal | met |",
        "|---|---|---|---|---|---|",
        *(line for record in records for line in rows(record)),
        "",
        "| benchmark | case | median rate | least to greatest | unit |",
        "|---|---|---|---|---|",
        *(line for record in records for line in rates(record)),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run those named on the command line, or all; only a whole run writes the page."""
    chosen = sys.argv[1:] or list(ALL)
    unknown = sorted(set(chosen) - set(ALL))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such benchmark; there are {', '.join(ALL)}.")
    records = [run(name) for name in chosen]
    if set(chosen) == set(ALL) and not budgets.chosen():  # figures in miniature are none
        (HERE / "RESULTS.md").write_text(page(records), encoding="utf-8")


if __name__ == "__main__":
    main()
