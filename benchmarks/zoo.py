"""Relevance through architectures that others wrote, as a table: how much arrives, how large it is,
what is refused and at what.

    make zoo              the table, written to benchmarks/zoo.md

The architectures, how their weights are made and what is measured stand in
`tests/engine/published.py`; `tests/engine/test_published.py` says what must hold of them.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[1]
# tests: the table of architectures, and the stand-in for torchvision that timm imports
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch
from engine.published import (
    ARCHITECTURES,
    Architecture,
    Outcome,
    attends,
    bring,
    outcome,
    refusal,
)
from engine.published import operations as operations_of
from tqdm import tqdm

from lib.lrp import COMPOSITES

HOW = """\
Weights are random, the same in each run: each package's own start (of `transformers`, whose models
are small here, with a standard deviation of 0.2), with heads and scales of branches that start at 0
replaced, and batch normalisations calibrated on noise. One input of noise, the class with the
highest score f, single precision. **|R|**: sum |R| / |f|. **R**: sum R / f, the share of the score
that arrives; the rest was absorbed, by biases above all. An asterisk: a `RelevanceWarning` said so.
**Seconds**: processor time of all composites together. `attn_lrp` is run where there is attention.
A name's second word tells its row from others: weights of attention written out (eager), vectors in
the place of words, and so on."""


@dataclass
class Row:
    """What is known of one architecture."""

    architecture: Architecture
    parameters: int = 0
    families: Counter = field(default_factory=Counter)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    refused: str = ""
    error: str = ""

    def __str__(self) -> str:
        steps = ", ".join(f"{name} {count}" for name, count in self.families.most_common())
        cells = [cell(self.outcomes.get(rules)) for rules in COMPOSITES]
        seconds = sum(result.seconds for result in self.outcomes.values())
        known = [self.architecture.package, self.architecture.name, number(self.parameters), steps]
        return " | ".join(
            ["", *known, *cells, self.refused or self.error, f"{seconds:.1f}", ""]
        ).strip()


def cell(result: Outcome | None) -> str:
    if result is None or result.refused:
        return " | "
    return f"{result.size:.3g}{'*' * result.warned} | {result.share:.3g}"


def number(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def examine(architecture: Architecture) -> Row:
    """All that the table says of an architecture; what goes wrong is said there, too."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    row = Row(architecture)
    try:
        model, x = bring(architecture, count=1)
        row.parameters = sum(p.numel() for p in model.parameters())
        try:
            steps = operations_of(model, x)
        except ValueError as error:
            row.refused = refusal(error)
            return row
        # what is refused only if relevance arrives, and does not, needs no rule
        row.families = Counter(step.family for step in steps if step.family != "refused")
        through_gates = attends(step.operation for step in steps)
        del steps  # they hold every tensor of the forward pass
        for rules in COMPOSITES:
            if rules != "attn_lrp" or through_gates:
                row.outcomes[rules] = result = outcome(model, x, rules)
                row.refused = result.refused or row.refused
    except Exception as error:
        traceback.print_exc()
        row.error = f"{type(error).__name__}: {str(error).splitlines()[0]}".replace("|", "/")
    return row


def summary(rows: list[Row]) -> str:
    """What the table shows, in sentences."""
    refused, failed = [r for r in rows if r.refused], [r for r in rows if r.error]
    ran = len(rows) - len(refused) - len(failed)
    said = [f"Of {len(rows)} architectures {ran} run, {len(refused)} are refused"]
    at = Counter(
        "a reason of its own" if row.refused.startswith("model: ") else row.refused.split(" in ")[0]
        for row in refused
    )
    if at:
        said[0] += " at " + ", ".join(f"{name} ({count})" for name, count in at.most_common())
    said[0] += f", {len(failed)} end in an error." if failed else ", none ends in an error."
    for rules in COMPOSITES:
        known = {
            row.architecture.name: row.outcomes[rules]
            for row in rows
            if rules in row.outcomes and not row.outcomes[rules].refused
        }
        if known:
            largest = max(known, key=lambda name: known[name].size)
            within = sum(result.size <= 2 for result in known.values())
            said.append(
                f"`{rules}`: sum |R| is at most twice the score on {within} of {len(known)}, and "
                f"at most {known[largest].size:.3g} times ({largest}); the account closes to "
                f"{max(result.gap for result in known.values()):.1g} of the larger of both."
            )
    return "\n".join([said[0], "", *(f"- {sentence}" for sentence in said[1:])])


def table(rows: list[Row]) -> list[str]:
    heads = ["package", "name", "parameters", "operations: families and numbers of steps"]
    for rules in COMPOSITES:
        heads += [f"{rules}: \\|R\\|", "R"]
    heads += ["refused at", "seconds"]
    return ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", *map(str, rows)]


def report(rows: list[Row], minutes: float) -> str:
    """The whole page."""
    versions = f"timm {version('timm')}, transformers {version('transformers')}"
    lines = [
        "# Networks of others",
        "",
        f"torch {torch.__version__}, {versions}, Python {platform.python_version()}, one thread a "
        f"network; {minutes:.0f} minutes.",
        "",
        HOW,
        "",
        summary(rows),
        "",
        *table(rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help="part of a row's name, e.g. 'timm' or 'swin'")
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1))
    arguments = parser.parse_args()
    wanted = arguments.part
    chosen = [a for a in ARCHITECTURES if not wanted or any(part in str(a) for part in wanted)]
    began = time.time()
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        rows = list(tqdm(pool.map(examine, chosen), total=len(chosen)))
    page = report(rows, (time.time() - began) / 60)
    if wanted:
        print(page)
    else:
        (ROOT / "benchmarks" / "zoo.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
