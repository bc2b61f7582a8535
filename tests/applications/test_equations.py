"""The chapter on applications: its equations on random input, the numbers of its prose."""

import pytest
import torch
from equations import cells, check_covered, check_numbers, recomputes

from lib import applications as apps

SEEDS = pytest.mark.parametrize("seed", range(3))


@recomputes("applications", "pooled-words")
@SEEDS
def test_words_pooled_over_groups_by_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    R = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    groups = torch.randint(3, (5, 7), generator=generator)
    P = apps.pool_words(R.abs(), groups, 3).sum(0) / R.abs().sum()
    for g in range(3):
        share = sum(
            abs(R[n, t].item()) for n in range(5) for t in range(7) if groups[n, t] == g
        ) / sum(abs(r) for r in R.flatten().tolist())
        assert abs(P[g].item() - share) < 1e-9


def function_of(name: str):
    """A function that the chapter writes itself, from its cell."""
    source = next(
        "".join(cell["source"])
        for cell in cells("applications")
        if cell["cell_type"] == "code" and f"def {name}(" in "".join(cell["source"])
    )
    lines, start = source.splitlines(), source[: source.index(f"def {name}(")].count("\n")
    stop = next(
        (
            k
            for k in range(start + 1, len(lines))
            if lines[k] and not lines[k].startswith((" ", ")"))
        ),
        len(lines),
    )
    space: dict = {"torch": torch}
    exec("\n".join(lines[start:stop]), space)
    return space[name]


@recomputes("applications", "depth-measures", "context")
@SEEDS
def test_mass_roughness_and_context_use_pixel_by_pixel(seed):
    generator = torch.Generator().manual_seed(seed)
    R = torch.randn(3, 2, 5, 6, generator=generator, dtype=torch.float64)
    O = torch.rand(3, 5, 6, generator=generator) < 0.4
    inside, outside = torch.zeros(()), torch.zeros(())
    for n in range(3):
        r = R[n].sum(0)
        positive = r.clamp(min=0)
        mass = (
            sum(positive[u, v] for u in range(5) for v in range(6) if O[n, u, v]) / positive.sum()
        )
        assert torch.isclose(apps.truth_mass(R.sum(1), O)[n].double(), mass)
        rough = sum(abs(r[u, v + 1] - r[u, v]) for u in range(5) for v in range(5)) / r.abs().sum()
        assert torch.isclose(function_of("roughness")(R[[n]].sum(1)), rough)
        inside, outside = inside + positive[O[n]].sum(), outside + positive[~O[n]].sum()
    assert torch.isclose(apps.pooled_context_use(R, O).double(), (outside / inside).double())


@recomputes("applications", "score-text")
@SEEDS
def test_the_area_under_the_curve_by_pairs(seed):
    generator = torch.Generator().manual_seed(seed)
    R = torch.randint(6, (4, 9), generator=generator).double()
    T = torch.rand(4, 9, generator=generator) < 0.4
    T[:, 0], T[:, 1] = True, False
    for n in range(4):
        pairs = [(R[n, p], R[n, q]) for p in range(9) if T[n, p] for q in range(9) if not T[n, q]]
        expected = sum(1.0 if p > q else 0.5 if p == q else 0.0 for p, q in pairs) / len(pairs)
        assert abs(apps.truth_auc(R, T)[n] - expected) < 1e-6


@recomputes("applications", "sound-share")
@SEEDS
def test_relevance_of_harmonics_is_that_of_their_strengths(seed):
    """Gradient × input of the samples, shared out, is that of ten strengths, all 1."""
    generator = torch.Generator().manual_seed(seed)
    s = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)
    w = torch.randn(8, generator=generator, dtype=torch.float64)
    f = lambda x: (x * w).sum(1).tanh()
    x = s.sum(1).requires_grad_()
    R_t = x.detach() * torch.autograd.grad(f(x).sum(), x)[0]
    strength = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    R_k = torch.autograd.grad(f((strength[:, :, None] * s).sum(1)).sum(), strength)[0]
    for n in range(2):
        for k in range(3):
            shared = sum(s[n, k, t] / x[n, t] * R_t[n, t] for t in range(8))
            assert torch.isclose(shared, R_k[n, k])


def test_every_equation_is_covered():
    check_covered("applications")


def test_every_number_is_shown():
    check_numbers("applications", {"16.4": "published, on the slides"})
