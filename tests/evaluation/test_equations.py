"""The chapter on evaluation: its equations on random input, the numbers of its prose."""

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
