"""The chapter on bias: its equations on random input, the numbers of its prose."""

import itertools

import numpy as np
import pytest
import torch
from equations import check_covered, check_numbers, recomputes

from lib import bias
from lib.bias import implied_fpr

SEEDS = pytest.mark.parametrize("seed", range(3))


def people(seed: int, *ranges: int, n: int = 500) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(top, (n,), generator=generator) for top in ranges]


@recomputes("bias", "text-04")
@SEEDS
def test_the_back_door_adjustment_stratum_by_stratum(seed):
    t, z = people(seed, 2, 3)
    y = torch.randn(500, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + t * z
    effect = sum(
        (z == k).double().mean()
        * (
            np.mean([v for v, a, b in zip(y, t, z) if a == 1 and b == k])
            - np.mean([v for v, a, b in zip(y, t, z) if a == 0 and b == k])
        )
        for k in range(3)
    )
    assert abs(bias.adjusted_effect(t, y, z) - effect) < 1e-9


@recomputes("bias", "text-16")
@SEEDS
def test_the_identity_of_the_rates(seed):
    y, yhat, g = people(seed, 2, 2, 3)
    for k in range(3):
        pairs = [(a.item(), b.item()) for a, b, c in zip(y, yhat, g) if c == k]
        count = lambda a, b: sum(pair == (a, b) for pair in pairs)
        b, ppv = (count(1, 0) + count(1, 1)) / len(pairs), count(1, 1) / (count(0, 1) + count(1, 1))
        fnr, fpr = (
            count(1, 0) / (count(1, 0) + count(1, 1)),
            count(0, 1) / (count(0, 0) + count(0, 1)),
        )
        assert abs(fpr - b / (1 - b) * (1 - ppv) / ppv * (1 - fnr)) < 1e-12
        assert (
            abs(implied_fpr(*(torch.tensor(v, dtype=torch.float64) for v in (b, ppv, fnr))) - fpr)
            < 1e-9
        )
        assert abs(bias.group_rates(y, yhat, g).fpr[k] - fpr) < 1e-9


@recomputes("bias", "text-23")
@SEEDS
def test_the_weights_make_label_and_group_independent(seed):
    y, g = people(seed, 2, 2)
    w = bias.reweighing(y, g).double()
    for a, b in itertools.product((0, 1), repeat=2):
        share = lambda chosen: chosen.double().mean()
        expected = share(g == b) * share(y == a) / share((g == b) & (y == a))
        assert torch.allclose(w[(g == b) & (y == a)], expected, atol=1e-6)
        assert abs((w * ((g == b) & (y == a))).mean() - share(g == b) * share(y == a)) < 1e-6


@recomputes("bias", "text-26", "text-26 2")
@SEEDS
def test_the_association_test_word_by_word(seed):
    X, Y, A, B = torch.randn(
        4, 5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    cosine = lambda u, v: (u @ v / u.norm() / v.norm()).item()
    s = lambda w: np.mean([cosine(w, a) for a in A]) - np.mean([cosine(w, b) for b in B])
    d = (np.mean([s(x) for x in X]) - np.mean([s(y) for y in Y])) / np.std(
        [s(w) for w in (*X, *Y)], ddof=1
    )
    assert abs(bias.weat(X, Y, A, B).effect - d) < 1e-9


@recomputes("bias", "text-31")
@SEEDS
def test_a_vector_is_its_projection_and_the_rest(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second, phi = (
        torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    B = bias.bias_direction(first, second, share=0.6)
    assert torch.allclose(B.T @ B, torch.eye(B.shape[1], dtype=torch.float64))
    phi_g = phi @ B @ B.T
    rest = bias.remove_projection(phi, B)
    assert torch.allclose(rest + phi_g, phi) and torch.allclose(
        rest @ B, torch.zeros(6, B.shape[1], dtype=torch.float64), atol=1e-12
    )
    values = np.linalg.svd(((first - second) / 2).numpy(), compute_uv=False) ** 2
    assert (
        values[: B.shape[1]].sum() / values.sum()
        >= 0.6
        > values[: B.shape[1] - 1].sum() / values.sum()
    )


@recomputes("bias", "text-35")
@SEEDS
def test_the_penalty_is_the_squared_length_of_the_projections(seed):
    N, B = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)), torch.eye(4)[:, :2]
    assert torch.isclose(
        bias.projection_penalty(N, B), sum((word[0] ** 2 + word[1] ** 2) for word in N)
    )


@recomputes("bias", "kleinberg")
def test_mean_scores_of_a_calibrated_group():
    """b m_1 + (1 - b) m_0 = b for any calibrated scores, so that m_0 follows from b and m_1."""
    g = torch.Generator().manual_seed(0)
    score, people = (torch.rand(9, generator=g, dtype=torch.float64) for _ in range(2))
    yes, no = people * score, people * (1 - score)
    b = yes.sum() / people.sum()
    m_1, m_0 = (yes * score).sum() / yes.sum(), (no * score).sum() / no.sum()
    torch.testing.assert_close(m_0, b / (1 - b) * (1 - m_1))


def test_every_equation_is_covered():
    check_covered("bias")


def test_every_number_is_shown():
    check_numbers("bias", {"4.75": "19 to 1 times 1 to 4"})
