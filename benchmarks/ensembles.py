"""Ensembles that run together, against a loop over their members."""

from collections.abc import Iterator

import torch
from timing import in_turn, table
from torch import nn
from tqdm import tqdm

from lib import models, training
from lib.uncertainty import Ensemble

TOLD = """\
An ensemble against a loop over its members, as a ratio of CPU time: above 1 the ensemble is
quicker. Dense ones gain from one fused Adam step as well. Batches of 64; 4 epochs of 512 samples;
inference with 64 and 1,000 rows."""

# members, name, numbers in an input, hidden layers
KINDS = (
    (50, "2-32-32-2", 2, (32, 32)),
    (10, "2-32-32-2", 2, (32, 32)),
    (20, "64-64-64-10", 64, (64, 64)),
    (10, "784-128-128-10", 784, (128, 128)),
    (5, "CNN 28 x 28", 784, None),
)


def section() -> list[str]:
    head = ["members", "network", "training", "64 rows", "1,000 rows"]
    rows = [
        [str(members), name, *(f"{ratio:.2f}" for ratio in ratios(members, inputs, hidden))]
        for members, name, inputs, hidden in tqdm(KINDS, desc="ensembles")
    ]
    return [TOLD, *table(head, rows)]


def ratios(members: int, inputs: int, hidden: tuple[int, ...] | None) -> Iterator[float]:
    """Training, inference with 64 rows and with 1,000: the loop in units of the ensemble."""

    def make(seed: int) -> nn.Module:
        if hidden is None:
            return models.cnn(1, 28, width=8, seed=seed)
        return models.mlp(inputs, hidden, 2 if inputs == 2 else 10, seed=seed)

    shape = (inputs,) if hidden else (1, 28, 28)
    x = torch.randn(1000, *shape, generator=torch.Generator().manual_seed(0))
    y = torch.arange(1000) % 2
    ensemble, alone = Ensemble(make, members), [make(seed) for seed in range(members)]

    def fit_loop() -> None:
        for seed in range(members):
            training.fit(make(seed), x[:512], y[:512], 4, seed=seed, progress=False)

    def fit_together() -> None:
        Ensemble(make, members).fit(x[:512], y[:512], 4, progress=False)

    yield ratio([fit_loop, fit_together], 4 if hidden else 3)
    with torch.no_grad():
        for rows in (x[:64], x):
            calls = [lambda: torch.stack([m(rows) for m in alone]), lambda: ensemble.eval()(rows)]
            yield ratio(calls, 20)


def ratio(calls: list, rounds: int) -> float:
    loop, together = in_turn(calls, rounds)
    return loop / together
