"""The chapter on evaluation: its equations on random input, the numbers of its prose."""

import math

import pytest
import torch
from equations import check_covered, check_numbers, recomputes
from torch import nn

from lib import evaluation as ev

SEEDS = pytest.mark.parametrize("seed", range(3))


@recomputes("evaluation", "conservation-after")
@SEEDS
def test_the_maximum_as_three_relus(seed):
    x, y = torch.rand(2, 100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.allclose(
        torch.maximum(x, y), 0.5 * ((x - y).relu() + (y - x).relu() + (x + y).relu())
    )


@recomputes("evaluation", "s3")
@SEEDS
def test_the_area_over_the_curve_by_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    w, x = (
        torch.randn(6, 2, generator=generator, dtype=torch.float64),
        torch.rand(3, 6, generator=generator, dtype=torch.float64),
    )
    model = nn.Linear(6, 2, bias=False).double()
    model.weight.data = w.T
    R = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    curve = ev.pixel_flipping(model, x, R, 1, replace=0.5)
    for n in range(3):
        image, f = x[n].clone(), [(x[n] @ w)[1]]
        for i in R[n].argsort(descending=True):
            image[i] = 0.5
            f.append((image @ w)[1])
        assert torch.allclose(curve.scores[n], torch.stack(f))
        assert torch.isclose(curve.aopc[n], sum(f[0] - f_k for f_k in f) / len(f))


@recomputes("evaluation", "words-after", "words-after 2")
@SEEDS
def test_the_scores_of_a_mask_and_of_a_box_pixel_by_pixel(seed):
    generator = torch.Generator().manual_seed(seed)
    R = torch.randn(4, 3, 5, 6, generator=generator, dtype=torch.float64)
    M = torch.rand(4, 5, 6, generator=generator) < 0.4
    for n in range(4):
        pixels = {(u, v): R[n, :, u, v].sum().item() for u in range(5) for v in range(6)}
        inside = [p for p in pixels if M[n][p]]
        positive = {p: max(r, 0.0) for p, r in pixels.items()}
        mass = sum(positive[p] for p in inside) / sum(positive.values())
        first = sorted(pixels, key=lambda p: -pixels[p])[: len(inside)]
        assert abs(ev.relevance_mass(R, M)[n] - mass) < 1e-9
        assert abs(ev.relevance_rank(R, M)[n] - len(set(first) & set(inside)) / len(inside)) < 1e-6
        assert (
            abs(
                ev.context_use(R, M)[n]
                - sum(positive[p] for p in pixels if p not in inside)
                / sum(positive[p] for p in inside)
            )
            < 1e-9
        )


@recomputes("evaluation", "new-scores", "new-scores 2", "new-scores 3")
@SEEDS
def test_steadiness_truth_to_size_and_brevity_by_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, 1, 5, 6, generator=generator, dtype=torch.float64)
    R = torch.randn(2, 1, 5, 6, generator=generator, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 2), nn.Tanh()).double()

    explain = lambda model, x, target: x**3
    draws = torch.Generator().manual_seed(seed)
    changes = []
    for _ in range(6):
        u = 0.1 * (2 * torch.rand(x.shape, generator=draws, dtype=torch.float64) - 1)
        changes.append(
            [((x[n] + u[n]) ** 3 - x[n] ** 3).norm() / (x[n] ** 3).norm() for n in (0, 1)]
        )
    found = ev.max_sensitivity(explain, model, x, 1, radius=0.1, samples=6, seed=seed)
    assert torch.allclose(found, torch.tensor(changes, dtype=torch.float64).amax(0))

    draws, wanted = torch.Generator().manual_seed(seed), torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        top, left = (int(torch.randint(n, (), generator=draws)) for n in (4, 5))
        without = x.clone()
        without[:, :, top : top + 2, left : left + 2] = 0.3
        for n in range(2):
            lost = model(x)[n, 1] - model(without)[n, 1]
            wanted[n] += (R[n, 0, top : top + 2, left : left + 2].sum() - lost).detach() ** 2 / 20
    found = ev.infidelity(model, x, R, 1, window=2, replace=0.3, samples=20, seed=seed)
    assert torch.allclose(found, wanted)

    shares = [[abs(r) / sum(map(abs, row)) for r in row] for row in R.flatten(1).tolist()]
    entropies = [-sum(p * math.log(p) for p in row) for row in shares]
    assert torch.allclose(ev.complexity(R), torch.tensor(entropies, dtype=torch.float64))


def test_every_equation_is_covered():
    check_covered("evaluation")


def test_every_number_is_shown():
    check_numbers(
        "evaluation",
        {
            "0.722": "printed on the slides",
            "0.691": "printed on the slides",
            "0.523": "printed on the slides",
        },
    )
