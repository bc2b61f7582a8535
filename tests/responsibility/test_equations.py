"""The chapter on responsibility: its equations on random input, the numbers of its prose."""

import math
import re
from collections import Counter

import pytest
import torch
from equations import cells, check_covered, check_numbers, recomputes
from torch import nn

from lib import models, responsibility

SEEDS = pytest.mark.parametrize("seed", range(3))


@recomputes("responsibility", "text-03")
@SEEDS
def test_the_first_merge_is_of_the_most_frequent_pair(seed):
    generator = torch.Generator().manual_seed(seed)
    words = {
        "".join("abc"[k] for k in torch.randint(3, (6,), generator=generator)): int(
            torch.randint(1, 9, (), generator=generator)
        )
        for _ in range(8)
    }
    pairs = Counter()
    for word, n in words.items():
        for a, b in zip(word, word[1:]):
            pairs[a + b] += n
    (a, b), *_ = responsibility.train_bpe(words, merges=1)
    assert pairs[(a + b).decode()] == max(pairs.values())


@recomputes("responsibility", "text-07")
@SEEDS
def test_the_advantage_of_an_attack_by_losses(seed):
    model = models.mlp(4, (8,), 3, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(60, 4, generator=generator), torch.randint(3, (60,), generator=generator)
    attack = responsibility.membership_inference(model, x[:30], y[:30], x[30:], y[30:])
    loss = [-math.log(model(x[n : n + 1]).softmax(1)[0, y[n]].item()) for n in range(60)]
    bar = sum(loss[:30]) / 30
    assert (
        abs(
            attack.advantage
            - (sum(v <= bar for v in loss[:30]) - sum(v <= bar for v in loss[30:])) / 30
        )
        < 1e-9
    )


@recomputes("responsibility", "text-09", "text-11", "text-11 2")
@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(2.0, 0.2, 10), (1.0, 0.05, 100), (4.0, 1.0, 5)]
)
def test_the_promise_holds_for_the_mechanism_that_it_is_made_for(noise, rate, steps):
    """One step with the person and without it, sum of clipped gradients 1 and 0: their densities by
    quadrature.
    """
    t = torch.linspace(-12 * noise, 12 * noise + 1, 200_001, dtype=torch.float64)
    without = torch.exp(-0.5 * (t / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
    shifted = torch.exp(-0.5 * ((t - 1) / noise) ** 2) / (noise * math.sqrt(2 * math.pi))
    with_person, step = (1 - rate) * without + rate * shifted, t[1] - t[0]
    for a in (2, 3, 8):
        exact = torch.log(((with_person / without) ** a * without).sum() * step) / (a - 1)
        assert abs(responsibility.renyi_divergence(a, rate, noise) - exact) < 1e-6
    orders = [(a, steps * responsibility.renyi_divergence(a, rate, noise)) for a in range(2, 200)]
    delta = 1e-5
    epsilon = min(
        d + math.log((a - 1) / a) - (math.log(delta) + math.log(a)) / (a - 1) for a, d in orders
    )
    assert abs(responsibility.epsilon(noise, rate, steps, delta) - epsilon) < 0.02 * epsilon
    # for the worst set S of results, P(A(D) in S) - e^eps P(A(D') in S) <= delta
    one = responsibility.epsilon(noise, rate, 1, delta)
    for p, q in ((with_person, without), (without, with_person)):
        assert ((p - math.exp(one) * q).clamp(min=0).sum() * step) <= delta


@recomputes("responsibility", "text-09 2")
@SEEDS
def test_a_private_step_person_by_person(seed):
    model = models.mlp(3, (4,), 2, seed=seed).double()
    generator = torch.Generator().manual_seed(seed)
    x, y = (
        torch.randn(5, 3, generator=generator, dtype=torch.float64),
        torch.randint(2, (5,), generator=generator),
    )
    before = [p.detach().clone() for p in model.parameters()]
    total = [torch.zeros_like(p) for p in before]
    for n in range(5):
        g = torch.autograd.grad(
            nn.functional.cross_entropy(model(x[n : n + 1]), y[n : n + 1]), list(model.parameters())
        )
        length = math.sqrt(sum((part**2).sum().item() for part in g))
        total = [t + part * min(1, 0.3 / length) for t, part in zip(total, g)]
    responsibility.dp_sgd_step(
        model, x, y, clip=0.3, noise=0.0, learning_rate=0.7, seed=seed, batch=4
    )
    for p, old, t in zip(model.parameters(), before, total):
        assert torch.allclose(p, old - 0.7 * t / 4)
    moved = []
    for k in range(300):
        other = models.mlp(3, (4,), 2, seed=seed).double()
        responsibility.dp_sgd_step(
            other, x[:0], y[:0], clip=0.3, noise=2.0, learning_rate=0.7, seed=k, batch=4
        )
        moved.append(torch.cat([(p - old).flatten() for p, old in zip(other.parameters(), before)]))
    spread = torch.stack(moved).std()
    assert abs(spread - 0.7 * 2.0 * 0.3 / 4) < 0.03 * spread


@recomputes("responsibility", "text-17")
def test_the_energy_of_bert_from_its_published_power():
    outputs = " ".join(
        "".join(output.get("text", ""))
        for cell in cells("responsibility")
        for output in cell.get("outputs", [])
    )
    kwh = 1.58 * 12041.51 * 79 / 1000
    assert any(
        abs(float(number.replace(",", "")) - kwh) <= 1
        for number in re.findall(r"\d[\d,]*\.?\d*", outputs)
    )
    assert abs(0.954 * kwh - 1438) < 20  # pounds, as Strubell et al. (2019) print them


def test_every_equation_is_covered():
    check_covered("responsibility")


def test_every_number_is_shown():
    check_numbers("responsibility", {})
