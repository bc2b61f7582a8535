"""How everything here is timed, and how a table is written."""

import gc
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np

Call = Callable[[], object]


def in_turn(calls: Sequence[Call], rounds: int, collect: bool = False) -> list[float]:
    """Seconds of processor time of each call: the calls follow one another in every round, and of
    all rounds the 20 % quantile is taken. collect: whether the garbage is collected before each,
    as where tensors are large.
    """
    times: list[list[float]] = [[] for _ in calls]
    warm = 1 if collect else 2  # rounds that are not counted; the large ones are warm sooner
    for turn in range(rounds + warm):
        for call, kept in zip(calls, times):
            if collect:
                gc.collect()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                began = time.process_time()
                call()
                spent = time.process_time() - began
            if turn >= warm:
                kept.append(spent)
    return [float(np.quantile(kept, 0.2)) for kept in times]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown, with empty lines around it."""
    lines = [" | ".join(row) for row in (head, ["---"] * len(head), *rows)]
    return ["", *(f"| {line} |" for line in lines), ""]
