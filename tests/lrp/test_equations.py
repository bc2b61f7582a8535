"""The chapter on LRP: its equations on random input, the numbers of its prose."""

import re

import pytest
import torch
from equations import ROOT, cells, check_covered, check_numbers, recomputes
from torch import nn

from lib import lrp as L
from lib.lrp import Epsilon, Gamma, WSquare, ZBox, Zero, ZPlus, lrp

SEEDS = pytest.mark.parametrize("seed", range(3))


def layer(seed: int, bias: bool = True) -> tuple[nn.Linear, torch.Tensor, torch.Tensor]:
    """A dense layer, positive activations (2, 5) and its outputs z (2, 3), in double precision."""
    generator = torch.Generator().manual_seed(seed)
    linear = nn.Linear(5, 3, bias=bias).double()
    for p in linear.parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    a = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    return linear, a, linear(a).detach()


def explained(linear: nn.Linear, a: torch.Tensor, rule, j: int) -> torch.Tensor:
    """The relevance of the inputs when neuron j alone holds its output as relevance."""
    return lrp(linear, a, j, rules=rule)


@recomputes("lrp", "by-hand")
@SEEDS
def test_relevance_is_conserved_from_layer_to_layer(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(5, 4, bias=False),
        nn.ReLU(),
        nn.Linear(4, 3, bias=False),
        nn.ReLU(),
        nn.Linear(3, 2, bias=False),
    ).double()
    x = torch.rand(4, 5, dtype=torch.float64)
    R, layers = lrp(model, x, 1, rules=Zero(), return_layers=True)
    for total in (R.sum(1), *(line.relevance.flatten(1).sum(1) for line in layers)):
        assert torch.allclose(total, model(x)[:, 1])


@recomputes("lrp", "ten-lines", "bias-text", "bias-text 2")
@SEEDS
@pytest.mark.parametrize("bias", [False, True])
def test_the_basic_rule_and_the_share_of_the_bias(seed, bias):
    linear, a, z = layer(seed, bias)
    w, b = (
        linear.weight.detach().T,
        linear.bias.detach() if bias else torch.zeros(3, dtype=torch.float64),
    )
    for j in range(3):
        R_j = z[:, j]
        fractions = torch.stack(
            [
                a[:, i] * w[i, j] / (sum(a[:, k] * w[k, j] for k in range(5)) + b[j]) * R_j
                for i in range(5)
            ],
            1,
        )
        pulled = a * w[:, j] * (R_j / z[:, j])[:, None]
        R = explained(linear, a, Zero(), j)
        assert torch.allclose(R, fractions) and torch.allclose(R, pulled)
        assert torch.allclose(R.sum(1) + b[j] / z[:, j] * R_j, R_j)


@recomputes("lrp", "epsilon-text")
@SEEDS
@pytest.mark.parametrize("eps", [0.01, 1.0])
def test_epsilon_stands_in_the_denominator_with_the_sign_of_z(seed, eps):
    linear, a, z = layer(seed)
    for j in range(3):
        sign = torch.where(z[:, j] >= 0, 1.0, -1.0)
        expected = (
            a * linear.weight[j].detach() / (z[:, j] + eps * sign)[:, None] * z[:, j][:, None]
        )
        assert torch.allclose(explained(linear, a, Epsilon(eps), j), expected)


@recomputes("lrp", "section-4", "section-4 2")
@SEEDS
def test_a_taylor_expansion_of_one_neuron_gives_z_plus(seed):
    linear, a, _ = layer(seed, bias=False)
    w = linear.weight.detach()
    for j in range(3):
        R_j = (a @ w[j]).relu()  # the function R_j(a), linear where the neuron is active
        toward = a * (w[j] > 0)  # the root is sought along a_i 1[w_ij > 0]
        t = R_j / (a * w[j].clamp(min=0)).sum(1)
        root = a - t[:, None] * toward
        active = R_j > 0
        assert torch.allclose(
            (root @ w[j])[active], torch.zeros(int(active.sum()), dtype=torch.float64), atol=1e-12
        )
        terms = (a - root) * w[j]
        assert torch.allclose(terms.sum(1)[active], R_j[active])
        assert torch.allclose(terms, t[:, None] * a * w[j].clamp(min=0))
        if active.any():
            positive = nn.Sequential(linear)
            assert torch.allclose(explained(positive, a[active], ZPlus(), j), terms[active])


@recomputes("lrp", "zbox-text")
@SEEDS
def test_the_rule_of_pixels_shares_by_q(seed):
    linear, x, z = layer(seed, bias=False)
    w = linear.weight.detach()
    for j in range(3):
        q = x * w[j] - 0.0 * w[j].clamp(min=0) - 1.0 * w[j].clamp(max=0)
        assert torch.allclose(
            explained(linear, x, ZBox(0.0, 1.0), j), q / q.sum(1, keepdim=True) * z[:, [j]]
        )
        square = w[j] ** 2
        assert torch.allclose(explained(linear, x, WSquare(), j), square / square.sum() * z[:, [j]])
        above = x * (w[j] + 0.25 * w[j].clamp(min=0))
        below = x * (w[j] + 0.25 * w[j].clamp(max=0))
        v = torch.where(z[:, [j]] >= 0, above, below)
        assert torch.allclose(
            explained(linear, x, Gamma(0.25), j), v / v.sum(1, keepdim=True) * z[:, [j]]
        )


@recomputes("lrp", "section-5")
@SEEDS
def test_simple_taylor_is_gradient_times_input(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).double()
    x = torch.randn(4, 5, dtype=torch.float64)
    h = 1e-6
    slopes = torch.stack(
        [
            (model(x + h * e) - model(x - h * e))[:, 2] / (2 * h)
            for e in torch.eye(5, dtype=torch.float64)
        ],
        1,
    ).detach()
    assert torch.allclose(L.simple_taylor(model, x, 2), x * slopes, atol=1e-7)


@recomputes("lrp", "section-7")
@SEEDS
def test_the_state_of_an_lstm_is_a_weighted_sum(seed):
    torch.manual_seed(seed)
    lstm = nn.LSTM(3, 4, batch_first=True).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(5):
        gates = (
            x[:, t] @ lstm.weight_ih_l0.T
            + lstm.bias_ih_l0
            + h @ lstm.weight_hh_l0.T
            + lstm.bias_hh_l0
        )
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    assert torch.allclose(lstm(x)[1][1][0], c)


@recomputes("lrp", "section-8")
@SEEDS
def test_the_one_class_machine_shares_by_squared_differences(seed):
    from sklearn.svm import OneClassSVM

    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(30, 4, generator=generator, dtype=torch.float64).numpy()
    machine = OneClassSVM(gamma=0.3, nu=0.5).fit(X)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64).numpy() * 3
    o = torch.from_numpy(L.neuralized_score(machine, x))
    u, alpha = torch.from_numpy(machine.support_vectors_), torch.from_numpy(machine.dual_coef_[0])
    differences = (torch.from_numpy(x)[:, None] - u) ** 2
    d = differences.sum(2)
    p = (alpha.log() - 0.3 * d).softmax(1)
    expected = (differences / d[:, :, None] * (p * o[:, None])[:, :, None]).sum(1)
    assert torch.allclose(torch.as_tensor(L.one_class_svm(machine, x)), expected)


@recomputes("lrp", "forgets")
@SEEDS
def test_z_plus_walks_back_by_a_product_of_matrices(seed):
    torch.manual_seed(seed)
    widths = (6, 5, 4, 3)
    model = nn.Sequential(
        *(
            part
            for I, J in zip(widths, widths[1:])
            for part in (nn.Linear(I, J, bias=False), nn.ReLU())
        )
    ).double()
    x = torch.rand(1, 6, dtype=torch.float64)
    with torch.no_grad():
        for part in model[::2]:
            part.weight.add_(0.3)  # so that every neuron of the last layer is active
    R, product, a = model(x)[0].detach() * torch.tensor([0, 1, 0]), torch.eye(6).double(), x[0]
    for part in model[::2]:
        w = part.weight.detach().T
        M = torch.stack(
            [a * w[:, j].clamp(min=0) / (a @ w[:, j].clamp(min=0)) for j in range(w.shape[1])], 1
        )
        assert M.min() >= 0 and torch.allclose(M.sum(0), torch.ones(w.shape[1]).double())
        product, a = product @ M, (a @ w).clamp(min=0)
    assert torch.allclose(lrp(model, x, 1, ZPlus())[0], product @ R)


def test_every_equation_is_covered():
    check_covered("lrp")


def test_every_number_is_shown():
    check_numbers("lrp", {})


def test_the_table_of_costs_is_that_of_the_benchmark():
    measured = {}
    for line in (ROOT / "benchmarks" / "results.md").read_text().splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")]
        if len(parts) == 6 and re.fullmatch(r"[\d.]+", parts[2]):
            measured[parts[0], parts[1]] = parts[2], parts[5]
    text = next("".join(cell["source"]) for cell in cells("lrp") if cell["id"] == "cost")
    rows = [
        [part.strip(" `") for part in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(("| LRP-ε", "| `epsilon"))
    ]
    assert len(rows) == 4
    for name, *ours, zennit in rows:
        rule = "epsilon" if name == "LRP-ε" else name
        expected = [
            measured[rule, case]
            for case in ("small CNN, batch 256", "small CNN, batch 1", "VGG16 shape, batch 1")
        ]
        assert ours == [ratio for ratio, _ in expected] and zennit.split(" · ") == [
            ratio for _, ratio in expected
        ], name
