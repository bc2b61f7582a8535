"""Perturbations, LIME, Shapley values, prototypes, attention and trees: recomputed slowly, compared
with peers, bad inputs.
"""

import copy
import itertools
import math
import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Net, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from witness import result_of_an_undisturbing

from lib import data, interpretability, models
from lib.engine import attention_weights
from lib.interpretability import (
    attention,
    attention_gradient,
    attention_rollout,
    coalitions,
    concept_derivative,
    concept_direction,
    counterfactual,
    grow_tree,
    lime,
    meaningful_perturbation,
    nearest_counterfactual,
    occlusion,
    perturbation,
    prediction_difference,
    prototype,
    rollout,
    shapley,
    tree_rules,
)

torch.set_num_threads(1)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def small(inputs=4, classes=3, dtype=torch.float64, seed=0):
    return models.mlp(inputs, (5,), classes, seed=seed).to(dtype)


def cnn(channels=2, height=5, width=7, dtype=torch.float64):
    with models.seeded(0):
        return nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(4),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(4 * height * width, 3),
        ).to(dtype)


def tiny():
    """The net of the reference table: 4-5-4-3, weights from a formula."""
    layers = []
    for l, (i, j) in enumerate(((4, 5), (5, 4), (4, 3))):
        linear = nn.Linear(i, j).double()
        with torch.no_grad():
            for b in range(j):
                linear.bias[b] = ((4 * b + 3 * l) % 5 - 2) / 4
                for a in range(i):
                    linear.weight[b, a] = ((7 * a + 5 * b + 3 * l + a * b) % 11 - 4) / 5
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


TINY_X = torch.tensor([[1, 0.5, 2, 0.25], [-1, 0.5, 2, -0.25]], dtype=torch.float64)
METHODS = {
    "occlusion": lambda m, x, t=None: occlusion(m, x, t, window=2),
    "prediction_difference": lambda m, x, t=None: prediction_difference(
        m, x, t, reference=normal(9, *x.shape[1:], seed=5), window=2, samples=3
    ),
    "conditional": lambda m, x, t=None: prediction_difference(
        m, x, t, reference=normal(9, *x.shape[1:], seed=5), window=2, surround=1, samples=3
    ),
    "meaningful_perturbation": lambda m, x, t=None: meaningful_perturbation(m, x, t, steps=4),
    "lime": lambda m, x, t=None: lime(m, x, t, samples=90),
    "shapley sampled": lambda m, x, t=None: shapley(m, x, t, method="sampled", samples=140),
    "shapley kernel": lambda m, x, t=None: shapley(m, x, t, samples=300),
    "prototype": lambda m, x, t=None: prototype(m, x, t, steps=3),
}
ALL = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


# ---------------------------------------------------------------- what all share


@ALL
def test_like_x_and_everything_left_as_it_was(method):
    model, x = cnn(), normal(2, 2, 5, 7)
    model.train()[0].weight.requires_grad_(False)
    before, kept, state = copy.deepcopy(model.state_dict()), x.clone(), torch.get_rng_state()
    R = method(model, x)
    assert R.shape == x.shape and R.dtype == x.dtype and not R.requires_grad and R.isfinite().all()
    assert model.training and not model[0].weight.requires_grad and model[5].weight.requires_grad
    assert all(p.grad is None for p in model.parameters()) and not model[0]._forward_hooks
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(x, kept) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(method(model, x), R), "the same seed, the same answer"


@ALL
def test_a_row_of_a_batch_is_a_batch_of_one(method):
    model, x = cnn(), normal(3, 2, 5, 7)
    together = method(model, x, torch.tensor([2, 0, 1]))
    for n, c in enumerate((2, 0, 1)):
        assert torch.allclose(method(model, x[n : n + 1], c)[0], together[n], atol=1e-9)


@ALL
def test_single_precision_is_near_double(method):
    model, x = cnn(), normal(2, 2, 5, 7)
    double = method(model, x)
    single = method(copy.deepcopy(model).float(), x.float())
    assert single.dtype == torch.float32 and torch.allclose(
        single.double(), double, atol=2e-4 * (1 + double.abs().max().item())
    )


@ALL
def test_state_is_restored_after_an_error_inside_the_model(method):
    class Fails(nn.Module):
        calls = 0

        def forward(self, x):
            Fails.calls += 1
            torch.rand(1)
            if Fails.calls > 1:
                raise RuntimeError("out of ink")
            return x.flatten(1)[:, :3] * 1

    model, state = Fails().train(), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="out of ink"):
        method(model, normal(1, 2, 5, 7))
    assert model.training and torch.equal(torch.get_rng_state(), state)


@ALL
def test_a_model_that_works_in_place_does_not_change_x(method):
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(2).flatten(1)[:, :3]

    x = normal(2, 2, 5, 7)
    kept = x.clone()
    method(InPlace(), x)
    assert torch.equal(x, kept)


@ALL
@pytest.mark.parametrize(
    "x, error, says",
    [
        (np.zeros((1, 2, 5, 7)), TypeError, "x: expected a"),
        (torch.zeros(1, 2, 5, 7), TypeError, "x: expected torch.float64"),
        (
            torch.full((1, 2, 5, 7), float("nan"), dtype=torch.float64),
            ValueError,
            "x: expected finite",
        ),
    ],
    ids=["array", "single precision", "NaN"],
)
def test_bad_inputs_are_named(method, x, error, says):
    with pytest.raises(error, match=says):
        method(cnn(), x)


@ALL
@pytest.mark.parametrize(
    "target, error",
    [(3, ValueError), (-1, ValueError), (1.0, TypeError), (torch.tensor([0, 1]), ValueError)],
)
def test_bad_targets_are_named(method, target, error):
    with pytest.raises(error, match="target: expected"):
        method(cnn(), normal(1, 2, 5, 7), target)


def test_memory_does_not_grow_with_windows_or_samples():
    largest = []

    class Counts(nn.Module):
        def forward(self, x):
            largest.append(x.numel())
            return x.flatten(1)[:, :2]

    x = torch.rand(700, 3, 16, 16)
    for call in (
        lambda: occlusion(Counts(), x, window=2),
        lambda: shapley(Counts(), x, regions=torch.arange(16) // 4, samples=50),
    ):
        largest.clear()
        call()
        assert max(largest[1:]) <= 2**18 and len(largest) > 20


# ---------------------------------------------------------------- occlusion


def occluded(f, x, c, sizes, steps, fill):
    """Every window, one at a time, one sample (C, H, W)."""
    total, count = torch.zeros_like(x), torch.zeros_like(x)
    axes = [
        range(0, max(math.ceil((n - s) / t), 0) * t + 1, t)
        for n, s, t in zip(x.shape, sizes, steps)
    ]
    for corner in itertools.product(*axes):
        place = tuple(slice(a, a + s) for a, s in zip(corner, sizes))
        other = x.clone()
        other[place] = fill
        total[place] += (f(x[None])[0, c] - f(other[None])[0, c]).item()
        count[place] += 1
    return total / count.clamp(min=1)


@pytest.mark.parametrize(
    "window, stride, sizes, steps",
    [
        (2, None, (2, 2, 2), (2, 2, 2)),
        (3, 2, (2, 3, 3), (2, 2, 2)),
        ((1, 2, 3), (1, 1, 2), (1, 2, 3), (1, 1, 2)),
        (9, None, (2, 9, 9), (2, 9, 9)),
        (2, 3, (2, 2, 2), (2, 3, 3)),
    ],
)
def test_occlusion_is_its_equation(window, stride, sizes, steps):
    model, x = cnn().eval(), normal(2, 2, 5, 7)
    R = occlusion(model, x, 1, window, stride, fill=0.3)
    for n in range(2):
        assert torch.allclose(R[n], occluded(model, x[n], 1, sizes, steps, 0.3), atol=1e-9)


def test_occlusion_of_the_reference_table():
    R = occlusion(tiny(), TINY_X, 0)
    assert torch.allclose(
        R,
        torch.tensor(
            [[1.308, 0.768, 0.926, 0.032], [-0.648, 0.054, 1.390, -0.046]], dtype=torch.float64
        ),
        atol=1e-9,
    )


@pytest.mark.parametrize("window, stride", [(2, 2), (3, 1), (2, 1)])
def test_occlusion_agrees_with_captum(window, stride):
    captum = pytest.importorskip("captum.attr")
    # captum knows only single precision here
    model, x = (
        cnn(dtype=torch.float32).eval(),
        normal(2, 2, 5, 7).float(),
    )
    theirs = captum.Occlusion(model).attribute(
        x, (2, window, window), (2, stride, stride), baselines=0.5, target=2
    )
    assert torch.allclose(occlusion(model, x, 2, window, stride, 0.5), theirs, atol=1e-5)


def test_occlusion_of_words_and_of_embedded_words():
    model = models.pretrained("reviews_cnn")
    words = data.reviews(3, seed=4).words
    R = occlusion(model, words)
    best = model(words).argmax(1)
    for n, t in itertools.product(range(3), (20, 23)):
        other = words.clone()
        other[n, t] = 0
        assert torch.allclose(R[n, t], (model(words) - model(other))[n, best[n]], atol=1e-5)
    head = Net(
        lambda self, e: self.net.head(self.net.convolution(e.transpose(1, 2)).relu().amax(2)),
        net=model,
    )
    embedded = occlusion(head, model.words(words).detach(), window=(1, 16))
    assert torch.allclose(embedded[:, :, 0], R, atol=1e-5) and torch.equal(
        embedded[:, :, 0], embedded[:, :, 9]
    )


def test_occlusion_fills_with_a_tensor_of_any_broadcastable_shape():
    model, x = cnn().eval(), normal(2, 2, 5, 7)
    fill = x.mean((2, 3), keepdim=True)
    R = occlusion(model, x, 0, 2, fill=fill)
    assert all(
        torch.allclose(R[n : n + 1], occlusion(model, x[n : n + 1], 0, 2, fill=fill[n]))
        for n in range(2)
    )


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"window": 0}, ValueError, "window: expected at least 1"),
        ({"window": 2.0}, TypeError, "window"),
        ({"window": (2, 2)}, ValueError, "window: expected one number, or 3"),
        ({"stride": 0}, ValueError, "stride"),
        ({"window": True}, TypeError, "window"),
        ({"fill": "black"}, TypeError, "fill: expected a number"),
        ({"fill": torch.zeros(4)}, ValueError, "fill: .*broadcast"),
    ],
    ids=str,
)
def test_occlusion_refuses(options, error, says):
    with pytest.raises(error, match=says):
        occlusion(cnn(), normal(1, 2, 5, 7), **options)


# ---------------------------------------------------------------- prediction difference


@pytest.mark.parametrize("surround", [0, 2])
def test_prediction_difference_is_the_weight_of_evidence(surround):
    model, x, reference = cnn().eval(), normal(2, 2, 5, 7), normal(30, 2, 5, 7, seed=3)
    R = prediction_difference(
        model, x, 1, reference, window=3, surround=surround, samples=5, seed=7
    )
    generator = torch.Generator().manual_seed(7)
    for place in perturbation._windows(x, 3, None):
        draw = perturbation._gaussian_fillings if surround else perturbation._drawn_fillings
        fillings = draw(x, reference, place, surround, 5, generator)
        for n in range(2):
            other = x[n].repeat(5, 1, 1, 1)
            other[(slice(None), *place)] = fillings[:, n if surround else 0]
            p, q = model(x).softmax(1)[n, 1].item(), model(other).softmax(1)[:, 1].mean().item()
            wanted = math.log2(p / (1 - p)) - math.log2(q / (1 - q))
            assert torch.allclose(
                R[(n, *place)], torch.full_like(R[(n, *place)], wanted), atol=1e-9
            )


def test_prediction_difference_knows_extreme_odds():
    class Sure(nn.Module):
        def forward(self, x):
            return torch.stack([200 * x[:, 0], 0 * x[:, 0]], 1)

    R = prediction_difference(Sure(), torch.ones(1, 2), 0, torch.zeros(2, 2))
    assert torch.allclose(R, torch.tensor([[200 / math.log(2), 0.0]]))


def test_conditional_fillings_follow_what_stands_around():
    base = normal(400, 1, seed=1)
    # the first two columns always agree
    reference = torch.cat([base, base, normal(400, 1, seed=2)], 1)
    x = torch.tensor([[5.0, 1.5, 0.0]], dtype=torch.float64)
    drawn = perturbation._gaussian_fillings(
        x, reference, (slice(0, 1),), 1, 300, torch.Generator().manual_seed(0)
    )
    assert abs(drawn.mean() - 1.5) < 0.05 and drawn.std() < 0.1
    free = perturbation._gaussian_fillings(
        x, reference, (slice(2, 3),), 1, 300, torch.Generator().manual_seed(0)
    )
    assert abs(free.mean()) < 0.3 and 0.8 < free.std() < 1.2


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({}, TypeError, "reference: expected a tensor"),
        (
            {"reference": normal(3, 2, 5, 6)},
            ValueError,
            r"reference: expected shape \(M >= 2, 2, 5, 7\)",
        ),
        ({"reference": normal(1, 2, 5, 7)}, ValueError, "reference"),
        ({"reference": normal(3, 2, 5, 7), "samples": 0}, ValueError, "samples"),
        ({"reference": normal(3, 2, 5, 7), "seed": 0.5}, TypeError, "seed"),
        ({"reference": normal(3, 2, 5, 7), "surround": -1}, ValueError, "surround"),
    ],
    ids=["none", "shape", "one", "samples", "seed", "surround"],
)
def test_prediction_difference_refuses(options, error, says):
    with pytest.raises(error, match=says):
        prediction_difference(cnn(), normal(1, 2, 5, 7), **options)


# ---------------------------------------------------------------- meaningful perturbation


def test_meaningful_perturbation_finds_the_pixel_that_counts():
    class One(nn.Module):
        def forward(self, x):
            return torch.stack([8 * x[:, 0, 2, 4], torch.full_like(x[:, 0, 0, 0], 2.0)], 1)

    x = torch.ones(2, 3, 5, 7)
    R = meaningful_perturbation(One(), x, 0, steps=300, area=5.0, smoothness=0.0, background=0.0)
    assert R[0, 0, 2, 4] > 0.6 and R[0, 0].flatten().topk(2).values[1] < 0.1
    assert torch.equal(R[:, 0], R[:, 2]) and R.min() >= 0 and R.max() <= 1
    assert (
        meaningful_perturbation(
            One(), x, 1, steps=300, area=5.0, smoothness=0.0, background=0.0
        ).max()
        < 0.1
    ), "nothing speaks for the other class"


def test_meaningful_perturbation_takes_the_first_step_of_its_loss():
    model, x = cnn().eval(), normal(1, 2, 5, 7)
    theta = torch.full((1, 1, 5, 7), 2.0, dtype=torch.float64, requires_grad=True)
    m = theta.sigmoid()
    tv = (m[:, :, 1:] - m[:, :, :-1]).square().mean() + (m[..., 1:] - m[..., :-1]).square().mean()
    loss = (
        -(1 - model(m * x + (1 - m) * 0.2).softmax(1)[0, 2]).log() + 0.3 * (1 - m).mean() + 0.7 * tv
    )
    optimiser = torch.optim.Adam([theta], 0.1)
    loss.backward()
    optimiser.step()
    R = meaningful_perturbation(model, x, 2, steps=1, area=0.3, smoothness=0.7, background=0.2)
    assert torch.allclose(R[:, :1], 1 - theta.detach().sigmoid())


def test_blur_keeps_constant_images_and_agrees_with_a_loop():
    x = normal(1, 2, 5, 7)
    assert torch.allclose(perturbation.blurred(torch.ones(1, 1, 4, 6)), torch.ones(1, 1, 4, 6))
    out, wide = perturbation.blurred(x), (0.15 * 5, 0.15 * 7)
    g = [
        [[math.exp(-(((a - b) / w) ** 2) / 2) for b in range(n)] for a in range(n)]
        for n, w in zip((5, 7), wide)
    ]
    norm = [[sum(row[k] for row in side) for k in range(len(side))] for side in g]
    slow = sum(
        x[0, 1, a, b].item() * g[0][a][3] / norm[0][3] * g[1][b][2] / norm[1][2]
        for a in range(5)
        for b in range(7)
    )
    assert abs(out[0, 1, 3, 2].item() - slow) < 1e-9


@pytest.mark.parametrize(
    "options, says",
    [
        ({"steps": 0}, "steps"),
        ({"area": -1}, "area"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"background": torch.zeros(3)}, "background"),
    ],
)
def test_meaningful_perturbation_refuses(options, says):
    with pytest.raises(ValueError, match=says):
        meaningful_perturbation(cnn(), normal(1, 2, 5, 7), **options)
    with pytest.raises(ValueError, match="expected images"):
        meaningful_perturbation(small(), normal(1, 4))


# ---------------------------------------------------------------- LIME


def test_lime_is_weighted_least_squares():
    model, x = small(), normal(2, 4)
    R = lime(model, x, 1, samples=40, width=0.6, baseline=0.5, seed=3)
    z = (torch.rand(40, 4, generator=torch.Generator().manual_seed(3)) < 0.5).double()
    for n in range(2):
        y = torch.tensor(
            [model(torch.where(row > 0, x[n], 0.5)[None])[0, 1].item() for row in z],
            dtype=torch.float64,
        )
        root = torch.exp(-(1 - z).sum(1) / (0.36 * 4)).sqrt()
        design = torch.cat([torch.ones(40, 1, dtype=torch.float64), z], 1) * root[:, None]
        wanted = np.linalg.lstsq(design.numpy(), (root * y).numpy(), rcond=None)[0][1:]
        assert np.allclose(R[n].numpy(), wanted, atol=1e-9)


def test_lime_agrees_with_captum_on_the_same_samples():
    captum = pytest.importorskip("captum.attr")
    linear = pytest.importorskip("captum._utils.models.linear_model")
    model, x, regions = cnn().eval(), normal(1, 2, 5, 7), torch.arange(7).expand(2, 5, 7)
    rows = iter(
        (torch.rand(60, 7, generator=torch.Generator().manual_seed(2)) < 0.5).double()[:, None]
    )
    theirs = captum.Lime(
        model,
        linear.SkLearnLinearRegression(),
        similarity_func=lambda a, b, z, **k: torch.exp(-(1 - z).sum() / (0.75**2 * 7)).item(),
        perturb_func=lambda *a, **k: next(rows),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs.attribute(x, target=0, feature_mask=regions[None], n_samples=60)
    ours = lime(model, x, 0, regions=torch.arange(7), samples=60, seed=2)
    assert torch.allclose(ours * 10, wanted.double(), atol=1e-5), (
        "ten features of a region share its weight"
    )


def test_lime_recovers_a_linear_model_and_scikit_learn_agrees():
    sklearn = pytest.importorskip("sklearn.linear_model")
    w, x = normal(6, seed=1), normal(3, 6)
    model = nn.Linear(6, 1).double()
    model.weight.data[0] = w
    assert torch.allclose(lime(model, x, samples=50), w * x, atol=1e-9)
    z, y, weights = (torch.rand(30, 5) < 0.5).double(), normal(30, 2), torch.rand(30).double()
    theirs = sklearn.LinearRegression().fit(z, y, weights).coef_.T
    assert np.allclose(coalitions.least_squares(z, y, weights).numpy(), theirs, atol=1e-9)


# ---------------------------------------------------------------- Shapley values


def by_orders(v, players):
    """The definition: the mean over all orders."""
    worth, orders = [0.0] * players, list(itertools.permutations(range(players)))
    for order in orders:
        for k, player in enumerate(order):
            worth[player] += v(set(order[: k + 1])) - v(set(order[:k]))
    return [w / len(orders) for w in worth]


def test_exact_shapley_is_the_mean_over_all_orders():
    model, x = small(), normal(2, 4)
    R = shapley(model, x, 2, method="exact", baseline=0.25)
    for n in range(2):

        def v(members):
            return model(
                torch.tensor(
                    [[x[n, i] if i in members else 0.25 for i in range(4)]], dtype=torch.float64
                )
            )[0, 2].item()

        assert np.allclose(R[n].tolist(), by_orders(v, 4), atol=1e-9)


@pytest.mark.parametrize("method", ["exact", "kernel"])
def test_shapley_of_the_reference_table(method):
    R = shapley(tiny(), TINY_X, 0, method=method)
    wanted = torch.tensor(
        [[1.330167, 0.490500, 1.252167, 0.045167], [-0.518667, 0.104000, 1.454333, -0.081667]],
        dtype=torch.float64,
    )
    assert torch.allclose(R, wanted, atol=1e-6)


def test_shapley_agrees_with_captum_and_shap():
    captum = pytest.importorskip("captum.attr")
    model, x, regions = (
        cnn(dtype=torch.float32).eval(),
        normal(2, 2, 5, 7).float(),
        (torch.arange(5)[:, None] // 2) * 2 + torch.arange(7) // 4,
    )
    theirs = captum.ShapleyValues(model).attribute(
        x, baselines=0.1, target=1, feature_mask=regions.expand(1, 2, 5, 7).contiguous()
    )
    size = torch.bincount(regions.flatten())[regions] * 2
    for method in ("exact", "kernel"):
        assert torch.allclose(
            shapley(model, x, 1, regions, method, baseline=0.1) * size, theirs, atol=1e-5
        )
    shap = pytest.importorskip("shap")
    net, row = small(), normal(1, 4)
    game = shap.KernelExplainer(lambda z: net(torch.tensor(z)).detach().numpy(), np.zeros((1, 4)))
    assert np.allclose(
        shapley(net, row, 0, method="exact").numpy(),
        game.shap_values(row.numpy(), silent=True)[..., 0],
        atol=1e-7,
    )


@pytest.mark.parametrize("method", ["sampled", "kernel"])
def test_drawn_shapley_values_are_near_the_exact_ones_and_nearer_with_more_samples(method):
    model, x = small(10), normal(4, 10)
    exact = shapley(model, x, method="exact")
    few, many = (
        np.mean(
            [
                (shapley(model, x, method=method, samples=n, seed=s) - exact)
                .square()
                .mean()
                .sqrt()
                .item()
                for s in range(6)
            ]
        )
        for n in (60, 960)
    )
    assert many < 0.5 * few and many < 0.05 * exact.abs().max()


def game_of(values, players):
    """A network whose score, for an input of zeros and ones, is a given game."""

    class Table(nn.Module):
        def forward(self, x):
            return torch.tensor(values, dtype=x.dtype)[
                (x.long() * 2 ** torch.arange(players)).sum(1), None
            ]

    return Table()


games = st.integers(1, 5).flatmap(
    lambda p: st.tuples(st.just(p), st.lists(st.floats(-5, 5), min_size=2**p, max_size=2**p))
)
WAYS = [("exact", 1), ("kernel", 200), ("kernel", 12), ("sampled", 40)]


@settings(max_examples=25, deadline=None)
@given(games)
def test_efficiency(game):
    players, values = game
    for method, samples in WAYS:
        R = shapley(
            game_of(values, players),
            torch.ones(1, players, dtype=torch.float64),
            0,
            method=method,
            samples=samples,
        )
        assert abs(R.sum().item() - (values[-1] - values[0])) < 1e-6


@settings(max_examples=25, deadline=None)
@given(games, st.data())
def test_symmetry_dummy_and_additivity(game, draw):
    players, values = game
    i, j = (draw.draw(st.integers(0, players - 1)) for _ in range(2))
    ones = torch.ones(1, players, dtype=torch.float64)

    def worth(values, method="exact"):
        return shapley(game_of(values, players), ones, 0, method=method)[0]

    def swapped(k):
        bits = [(k >> b) & 1 for b in range(players)]
        bits[i], bits[j] = bits[j], bits[i]
        return sum(bit << b for b, bit in enumerate(bits))

    even = [(v + values[swapped(k)]) / 2 for k, v in enumerate(values)]
    idle = [values[k & ~(1 << i)] for k in range(len(values))]
    other = values[::-1]
    for method in ("exact", "kernel"):
        assert abs(worth(even, method)[i] - worth(even, method)[j]) < 1e-6
        assert abs(worth(idle, method)[i]) < 1e-6
        assert torch.allclose(
            worth([a + b for a, b in zip(values, other)], method),
            worth(values, method) + worth(other, method),
            atol=1e-6,
        )


def test_regions_of_every_shape_mean_the_same():
    model, x, columns = cnn().eval(), normal(2, 2, 5, 7), torch.arange(7)
    wanted = shapley(model, x, 0, columns, "exact")
    for regions in (
        columns.expand(5, 7),
        columns.expand(2, 5, 7),
        columns.expand(2, 2, 5, 7),
        columns.to(torch.uint8),
    ):
        assert torch.allclose(shapley(model, x, 0, regions, "exact"), wanted)
    own = torch.stack([columns.expand(2, 5, 7), 6 - columns.expand(2, 5, 7)])
    assert torch.allclose(shapley(model, x, 0, own, "exact"), wanted), "another map for each sample"


def test_words_are_players():
    model, review = models.pretrained("reviews_cnn"), data.reviews(1, seed=3)
    words = review.words[:, -len(review.text(0)) :]
    R = shapley(model, words, method="exact")
    assert R.shape == words.shape and R.dtype == torch.float32
    scores = (model(words) - model(torch.zeros_like(words)))[0]
    assert torch.allclose(R.sum(), scores[model(words).argmax()], atol=1e-5)
    assert lime(model, words).shape == words.shape


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"method": "magic"}, ValueError, "method: expected"),
        ({"method": "exact"}, ValueError, "at most 12 players, got 70"),
        ({"samples": 0}, ValueError, "samples"),
        ({"regions": torch.zeros(5, 7)}, TypeError, "regions: expected a tensor of whole numbers"),
        ({"regions": torch.zeros(4, dtype=torch.long)}, ValueError, "regions"),
        ({"regions": -torch.ones(7, dtype=torch.long)}, ValueError, "regions"),
        ({"baseline": None}, TypeError, "baseline"),
        ({"seed": "x"}, TypeError, "seed"),
    ],
    ids=["method", "exact", "samples", "float", "shape", "negative", "baseline", "seed"],
)
def test_shapley_refuses(options, error, says):
    with pytest.raises(error, match=says):
        shapley(cnn(), normal(1, 2, 5, 7), **options)
    if "method" not in options and "samples" not in options:
        with pytest.raises(error, match=says):
            lime(cnn(), normal(1, 2, 5, 7), **options)
    with pytest.raises(ValueError, match="width"):
        lime(cnn(), normal(1, 2, 5, 7), width=0)


# ---------------------------------------------------------------- prototypes


def test_prototype_is_plain_gradient_ascent():
    model, x = small(), normal(2, 4)
    wanted = x.clone()
    for _ in range(5):
        leaf = wanted.clone().requires_grad_()
        gain = model(leaf)[:, 2].sum() - 0.1 * (leaf**2).sum()
        wanted = wanted + 0.05 * torch.autograd.grad(gain, leaf)[0]
    assert torch.allclose(prototype(model, x, 2, steps=5, learning_rate=0.05, penalty=0.1), wanted)


def test_prototype_of_a_linear_model_is_in_closed_form():
    model = nn.Linear(3, 2).double()
    found = prototype(
        model, torch.zeros(1, 3).double(), 1, steps=2000, learning_rate=0.05, penalty=0.25
    )
    assert torch.allclose(found[0], model.weight[1] / 0.5, atol=1e-6)


def test_prototype_in_a_code_space():
    model, spread = small(), normal(2, 4, seed=9)
    found = prototype(model, torch.zeros(3, 2).double(), 0, steps=3, decode=lambda z: z @ spread)
    assert (
        found.shape == (3, 4)
        and torch.linalg.matrix_rank(torch.cat([found, spread]), tol=1e-9) == 2
    )
    assert model(found)[0, 0] > model(torch.zeros(1, 4).double())[0, 0]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"steps": -1}, "steps"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"penalty": -1}, "penalty"),
        ({"learning_rate": 1e9, "penalty": 1.0}, "left all bounds"),
    ],
)
def test_prototype_refuses(options, says):
    with pytest.raises(ValueError, match=says):
        prototype(small(), normal(1, 4), **options)


# ---------------------------------------------------------------- attention


def transformer(layers=2, heads=2, d=8, T=5):
    with models.seeded(0):
        layer = nn.TransformerEncoderLayer(d, heads, 16, batch_first=True)
        encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        return nn.Sequential(encoder, nn.Flatten(), nn.Linear(T * d, 3)).double()


def test_rollout_is_the_product_of_mixed_attention():
    W = [normal(2, 3, 4, 4, seed=k).softmax(-1) for k in range(3)]
    A = [(w.mean(1) + torch.eye(4)) / 2 for w in W]
    for n in range(2):
        for t, s in itertools.product(range(4), range(4)):
            slow = sum(
                A[2][n, t, i] * A[1][n, i, j] * A[0][n, j, s] for i in range(4) for j in range(4)
            )
            assert abs(rollout(W)[n, t, s] - slow) < 1e-12


def test_attention_is_seen_in_modules_and_in_functional_calls():
    model, x = transformer(), normal(3, 5, 8)
    weights, h = [], x
    for layer in model.eval()[0].layers:
        weights.append(layer.self_attn(h, h, h, average_attn_weights=False)[1].detach())
        h = layer(h)
    wanted = rollout(weights)
    R = attention_rollout(model, x)
    assert R.shape == x.shape and torch.allclose(R.sum(2), wanted.mean(1))
    assert torch.allclose(attention_rollout(model, x, position=0).sum(2), wanted[:, 0])

    class Functional(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(
                x[:, None], x[:, None], x[:, None], is_causal=True
            )[:, 0].flatten(1)[:, :2]

    seen = attention_rollout(Functional(), x, position=0)
    assert torch.allclose(seen[:, 0].sum(1), torch.ones(3).double()) and (seen[:, 1:] == 0).all(), (
        "the first sees only itself"
    )


def test_the_masked_attention_is_what_torch_computes():
    q, k, v = (normal(2, 3, 5, 4, seed=s) for s in range(3))
    for options in (
        {"is_causal": True},
        {"attn_mask": normal(5, 5) > -1},
        {"attn_mask": normal(5, 5)},
        {"scale": 0.3},
    ):
        assert torch.allclose(
            attention_weights(q, k, **options) @ v,
            F.scaled_dot_product_attention(q, k, v, **options),
        )


@pytest.mark.parametrize("method", [attention_rollout, attention_gradient])
def test_attention_refuses_what_has_none_or_another_shape(method):
    model, x = transformer(), normal(2, 5, 8)
    with pytest.raises(ValueError, match="model: expected nn.MultiheadAttention.*found none"):
        method(small(), normal(2, 4))
    with pytest.raises(ValueError, match="target"):
        method(model, x, 7)
    for position in (5, -6, 0.5):
        with pytest.raises(ValueError, match=r"position: expected None or a whole number in -5..4"):
            method(model, x, position=position)
    with pytest.raises(ValueError, match=r"x: expected words .*, vectors .* or images"):
        method(model, normal(2, 5, 8, 1, 1))
    with pytest.raises(TypeError, match="x: expected torch.float64"):
        method(model, x.float())
    longer = Net(
        lambda s, x: s.read(torch.cat([x, x], 1))[:, :5].flatten(1)[:, :2],
        read=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).double(),
    )
    with pytest.raises(ValueError, match=r"attention of shape \(2, heads, 5, 5\), got \(2, 2, 10"):
        method(longer, x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"need_weights": False},
        {"average_attn_weights": False},
        {"key_padding_mask": torch.arange(5).expand(3, 5) > torch.tensor([[4], [2], [3]])},
        {"attn_mask": normal(6, 5, 5)},
        {"attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1), "is_causal": True},
    ],
    ids=str,
)
def test_a_module_that_is_written_out_gives_what_it_gave(options):
    module, x = drawn(lambda: nn.MultiheadAttention(8, 2, batch_first=True)), normal(3, 5, 8)
    output, weights = module(x, x, x, **options)
    with attention._Attentions() as seen:
        ours, own = module(x, x, x, **options)
    assert torch.allclose(ours, output) and seen.weights[0].shape == (3, 2, 5, 5)
    assert own is weights is None or torch.allclose(own, weights)
    if not options:  # one sample without a batch
        with attention._Attentions():
            alone = module(x[0], x[0], x[0])
        assert torch.allclose(alone[0], output[0]) and torch.allclose(alone[1], weights[0])


def test_rollout_knows_no_class_and_sums_to_one():
    model, x = transformer().train(), normal(2, 5, 8)
    R = attention_rollout(model, x)
    assert model.training and torch.equal(R, attention_rollout(model, x, 1))
    assert torch.allclose(R.sum((1, 2)), torch.ones(2).double())


class Reader(nn.Module):
    """Two layers of attention with the same parameters, in one of three ways of writing it."""

    def __init__(self, way, d=8, heads=2, mask=None):
        super().__init__()
        self.way, self.heads, self.mask = way, heads, mask
        self.parts = nn.ModuleList(
            nn.MultiheadAttention(d, heads, batch_first=True) for _ in range(2)
        )
        self.out = nn.Linear(d, 3)

    def forward(self, h):
        for part in self.parts:
            h = h + self.attend(part, h)
        return self.out(h[:, 0].tanh())

    def attend(self, part, h):
        if self.way == "module":
            return part(h, h, h, attn_mask=self.mask, need_weights=False)[0]
        if self.way == "module with weights":
            return part(h, h, h, attn_mask=self.mask)[0]
        q, k, v = (
            t.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for t in F.linear(h, part.in_proj_weight, part.in_proj_bias).chunk(3, -1)
        )
        if self.way == "function":
            hidden = None if self.mask is None else ~self.mask
            read = F.scaled_dot_product_attention(q, k, v, hidden)
        else:
            W = self.strength(q, k).softmax(-1)
            self.weights.append(W)
            if W.requires_grad:
                W.retain_grad()
            read = W @ v
        return part.out_proj(read.transpose(1, 2).flatten(2))

    def strength(self, q, k):
        E = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        return E if self.mask is None else E.masked_fill(self.mask, float("-inf"))

    weights = []  # of the last run by hand


WRITTEN = ["module", "module with weights", "function", "by hand"]


def readers(mask=None):
    return [drawn(lambda: Reader(way, mask=mask)) for way in WRITTEN]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("position", [None, 0, -1])
def test_however_attention_is_written_it_is_the_same(masked, position):
    x = normal(3, 5, 8)
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if masked else None
    for method in (attention_rollout, attention_gradient):
        R, *others = [method(model, x, 1, position) for model in readers(mask)]
        assert R.shape == x.shape and R.dtype == x.dtype and (R >= 0).all()
        assert all(torch.allclose(R, other, atol=1e-12) for other in others)


def test_weighted_attention_is_its_equation():
    """By hand: the network's own weights and autograd's slopes of them."""
    *_, model = readers()
    x, R = normal(4, 5, 8), []
    for n in range(4):
        model.weights.clear()
        model(x[n : n + 1])[0, 2].backward()
        rows = torch.eye(5).double()
        for W in model.weights:
            A = torch.stack([(W.grad[0, h] * W[0, h]).clamp(min=0) for h in range(2)]).mean(0)
            rows = rows + A @ rows
        R.append(rows.detach() - torch.eye(5).double())
    R = torch.stack(R)
    model.zero_grad()
    assert torch.allclose(attention_gradient(model, x, 2).sum(2), R.mean(1))
    assert torch.allclose(attention_gradient(model, x, 2, position=3).sum(2), R[:, 3])
    assert not torch.allclose(R[:, 0], R[:, 3])


def test_weighted_attention_of_explicit_weights():
    """f = w^T A_2 A_1 x at the first position: df/dA_2 and df/dA_1 in closed form."""
    A1, A2 = (torch.tensor(W).double() for W in ([[0.5, 0.5], [0.2, 0.8]], [[0.25, 0.75], [1, 0]]))
    w, x = torch.tensor([[1.0, -2.0], [0.5, 3.0]]).double(), normal(1, 2, 2)

    def forward(self, h):
        for A in (A1, A2):
            h = A.log()[None, None].softmax(-1)[:, 0] @ h
        return h[:, 0] @ w.T

    for c in (0, 1):
        value = x[0] @ w[c]  # of each word, for the class
        slope2 = torch.stack([A1 @ value, torch.zeros(2).double()])
        slope1 = A2[0][:, None] * value[None]
        R = torch.eye(2).double()
        for A, slope in ((A1, slope1), (A2, slope2)):
            R = R + (A * slope).clamp(min=0) @ R
        R = R - torch.eye(2).double()
        for position, row in ((0, R[0]), (1, R[1]), (None, R.mean(0))):
            ours = attention_gradient(Net(forward), x, c, position)
            assert torch.allclose(ours[0].sum(1), row)


@pytest.mark.parametrize("model", [transformer(), *readers()], ids=["layers", *WRITTEN])
def test_weighted_attention_knows_the_class_and_a_row_is_a_batch_of_one(model):
    x, c = normal(3, 5, 8), torch.tensor([2, 0, 1])
    together = attention_gradient(model, x, c)
    assert not together.requires_grad and not torch.allclose(
        together, attention_gradient(model, x, (c + 1) % 3)
    )
    for n in range(3):
        alone = attention_gradient(model, x[n : n + 1], int(c[n]))
        assert torch.allclose(alone[0], together[n], atol=1e-12)
    single = attention_gradient(copy.deepcopy(model).float(), x.float(), c)
    assert single.dtype == torch.float32 and torch.allclose(single.double(), together, atol=1e-5)


def test_frozen_networks_and_weights_written_over():
    """Where no parameter asks for a gradient, and where the model works on its weights in place."""
    *_, model = readers()
    x = normal(2, 5, 8)
    wanted = attention_gradient(model, x, 0)
    assert torch.equal(attention_gradient(model.requires_grad_(False), x, 0), wanted)

    def halved(in_place):
        def forward(self, h):
            W = (h @ h.transpose(1, 2))[:, None].softmax(-1)
            W = W.mul_(0.5) if in_place else W * 0.5
            return (W[:, 0] @ h).flatten(1)[:, :3]

        return Net(forward)

    for method in (attention_rollout, attention_gradient):
        assert method(halved(True), x).shape == x.shape
    # what multiplies the values counts
    A = (x @ x.transpose(1, 2)).softmax(-1) * 0.5
    slope = x[:, :, 1][:, None] * torch.eye(5).double()[0][:, None]
    R = (A * slope).clamp(min=0)
    assert torch.allclose(attention_gradient(halved(True), x, 1).sum(2), R.mean(1))


def test_weights_that_no_score_depends_on():
    look = lambda x: (x @ x.transpose(1, 2))[:, None].softmax(-1)

    def looks_in_vain(self, x):
        look(x)
        return x.flatten(1)[:, :2]

    def without_graph(self, x):
        with torch.no_grad():
            return (look(x)[:, 0] @ x).flatten(1)[:, :2]

    x = normal(2, 5, 8)
    for forward in (looks_in_vain, without_graph):
        with pytest.raises(ValueError, match="model: its scores do not depend on its attention"):
            attention_gradient(Net(forward), x)
        assert attention_rollout(Net(forward), x).shape == x.shape


def test_a_query_that_sees_nothing_gets_nothing():
    q, k, v = (normal(2, 3, 5, 4, seed=s) for s in range(3))
    there = torch.ones(5, 5, dtype=torch.bool)
    there[2] = False
    W = attention_weights(q, k, there)
    assert (W[:, :, 2] == 0).all() and torch.allclose(
        W @ v, F.scaled_dot_product_attention(q, k, v, there)
    )


def test_heads_of_the_query_may_share_a_key():
    q, k, v = normal(2, 4, 5, 6), normal(2, 2, 5, 6, seed=1), normal(2, 2, 5, 6, seed=2)
    with attention._Attentions() as seen:
        ours = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    assert torch.allclose(ours, F.scaled_dot_product_attention(q, k, v, enable_gqa=True))
    assert seen.weights[0].shape == (2, 4, 5, 5)


def looking_around(model):
    """The model behind attention between the 36 places of an image."""

    def forward(self, x):
        h = x.flatten(2).transpose(1, 2)
        W = (h @ h.transpose(1, 2))[:, None].softmax(-1)
        return self.model((W[:, 0] @ h).transpose(1, 2).view_as(x))

    return Net(forward, model=model)


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("method", [attention_rollout, attention_gradient])
def test_attention_leaves_everything_as_it_was(method, fail):
    result_of_an_undisturbing(
        lambda model, x, c: method(looking_around(model), x, c), normal(2, 2, 6, 6), fail
    )


# ---------------------------------------------------------------- attention over patches


@pytest.fixture(scope="module")
def vision():
    """name, fused -> a vision transformer with random weights"""
    timm = pytest.importorskip("timm")
    made = {}

    def make(name, fused):
        if name not in made:
            with models.seeded(0):
                made[name] = timm.create_model(name, pretrained=False, num_classes=4).eval()
        for block in made[name].blocks:
            block.attn.fused_attn = fused
            # at the start all weights are equal
            nn.init.normal_(block.attn.qkv.weight, 0, 0.1, torch.Generator().manual_seed(1))
        return made[name]

    return make


VISION = pytest.mark.parametrize(
    "name, tokens",
    [("vit_tiny_patch16_224", 1), ("deit_tiny_distilled_patch16_224", 2)],
    ids=["vit", "deit"],
)


def watched(model, x):
    """The weights that timm's layers compute by hand, as arrays (N, heads, T, T)."""
    weights, handles = [], []
    for block in model.blocks:
        keep = lambda module, given, output: weights.append(output.detach().double().numpy())
        handles.append(block.attn.attn_drop.register_forward_hook(keep))
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return weights


@VISION
def test_rollout_of_an_image_is_the_product_over_its_patches(vision, name, tokens):
    x = normal(2, 3, 224, 224).float()
    weights = watched(vision(name, False), x)
    T = 196 + tokens
    product = np.broadcast_to(np.eye(T), (2, T, T))
    for W in weights:
        product = (W.mean(1) + np.eye(T)) / 2 @ product
    for fused in (False, True):
        for position, row in ((0, product[:, 0]), (None, product.mean(1))):
            R = attention_rollout(vision(name, fused), x, position=position)
            assert R.shape == x.shape and R.dtype == x.dtype
            patches = row[:, tokens:] / row[:, tokens:].sum(1, keepdims=True)
            squares = R.double().unflatten(3, (14, 16)).unflatten(2, (14, 16))
            assert np.allclose(squares.sum((1, 3, 5)).flatten(1), patches, rtol=1e-4, atol=1e-7)
            assert torch.equal(R, R[:, :1].expand_as(R)), "each channel the same"
            assert torch.equal(R[:, :, ::16, ::16], R[:, :, 15::16, 15::16])
            assert torch.allclose(R.sum((1, 2, 3)), torch.ones(2), atol=1e-4)


@VISION
def test_weighted_attention_of_an_image(vision, name, tokens):
    x = normal(2, 3, 224, 224).float()
    model = vision(name, False)
    kept, handles = [], []
    for block in model.blocks:
        keep = lambda module, given, output: (kept.append(output), output.retain_grad())[0]
        handles.append(block.attn.attn_drop.register_forward_hook(keep))
    model(x)[:, 3].sum().backward()
    model.zero_grad(set_to_none=True)
    for handle in handles:
        handle.remove()
    R = torch.eye(196 + tokens)
    for W in kept:
        R = R + (W * W.grad).clamp(min=0).mean(1) @ R
    patches = R.detach()[:, 0, tokens:]
    wanted = patches / patches.sum(1, keepdim=True)
    for fused in (False, True):
        ours = attention_gradient(vision(name, fused), x, 3, position=0)
        assert ours.shape == x.shape and torch.allclose(ours.sum((1, 2, 3)), torch.ones(2))
        squares = ours.unflatten(3, (14, 16)).unflatten(2, (14, 16)).sum((1, 3, 5)).flatten(1)
        assert torch.allclose(squares, wanted, rtol=1e-3, atol=1e-6)
        alone = attention_gradient(vision(name, fused), x[1:], 3, position=0)
        assert torch.allclose(alone[0], ours[1], rtol=1e-3, atol=1e-9)
        assert all(p.grad is None for p in model.parameters())
    assert not torch.allclose(ours, attention_gradient(model, x, 1, position=0), rtol=1e-2)


@pytest.mark.parametrize(
    "T, shape, tokens, side",
    [
        (196, (224, 224), 0, 16),
        (201, (224, 224), 5, 16),
        (12, (6, 8), 0, 2),
        (20, (6, 8), 8, 2),
        (5, (2, 2), 1, 1),
        (2, (7, 7), 1, 7),
    ],
)
def test_the_grid_of_patches_is_found(T, shape, tokens, side):
    assert attention._grid(T, torch.zeros(1, 3, *shape)) == (tokens, side)


@pytest.mark.parametrize("method", [attention_rollout, attention_gradient])
def test_positions_that_are_no_patches_are_refused(method):
    model = Net(
        lambda s, x: (
            (h := x.flatten(1)[:, :21, None]),
            ((h @ h.transpose(1, 2))[:, None].softmax(-1)[:, 0] @ h)[:, :2, 0],
        )[1]
    )
    said = r"x: expected images that square patches and 0 to 8 tokens .* 21 positions .* got 6 x 8"
    with pytest.raises(ValueError, match=said):
        method(model, normal(2, 2, 6, 8))


@pytest.mark.parametrize("fused", [False, True])
def test_attention_within_windows_is_refused(fused):
    timm = pytest.importorskip("timm")
    model = timm.models.swin_transformer.SwinTransformer(
        img_size=32,
        patch_size=2,
        num_classes=3,
        embed_dim=8,
        depths=(2,),
        num_heads=(2,),
        window_size=4,
    ).eval()
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
    for method in (attention_rollout, attention_gradient):
        with pytest.raises(ValueError, match=r"expected attention of shape \(2, heads, 16, 16\)"):
            method(model, normal(2, 3, 32, 32).float())


def test_weighted_attention_of_sentences():
    """The published encoder: of several lengths, in words and in vectors."""
    encoder = models.pretrained("minilm")
    model = encoder.against(["the food was awful", "a wonderful evening"])
    words = encoder.tokens(["We waited for an hour, but the cake was a delight.", "Cold soup."])
    R = attention_gradient(model, words, 1)
    assert R.shape == words.shape and R.dtype == torch.float32 and (R >= 0).all()
    assert not torch.allclose(R, attention_gradient(model, words, 0), rtol=1e-3)
    short = words[1:, : int((words[1] != 0).sum())]
    first = attention_gradient(model, words, 1, position=0)[1, : short.shape[1]]
    assert torch.allclose(attention_gradient(model, short, 1, position=0)[0], first, atol=1e-6)
    vectors = encoder.embed(words).detach()
    assert torch.allclose(attention_gradient(model, vectors, 1).sum(2), R, atol=1e-5)
    assert all(p.grad is None for p in model.parameters())


def test_shuffled_attention_is_dealt_out_among_the_same_words():
    present = torch.tensor([[False, False, True, True, True, True], [True] * 6])
    a = (normal(2, 6).exp() * present) / 10
    dealt = [interpretability.shuffled(a, present, seed) for seed in range(40)]
    for d in dealt:
        assert torch.equal(d.sort(1).values, a.sort(1).values) and (d[~present] == 0).all()
    assert len({tuple(d[0].tolist()) for d in dealt}) > 15 and torch.equal(
        dealt[3], interpretability.shuffled(a, present, 3)
    )
    with pytest.raises(ValueError, match="attention, present"):
        interpretability.shuffled(a, present[:1])


# ---------------------------------------------------------------- concepts and counterfactuals


@pytest.mark.parametrize("seed", range(3))
def test_the_direction_of_a_concept_parts_the_sets(seed):
    with models.seeded(seed):
        others, gain = torch.randn(40, 2, 3), torch.randn(2, 3)
    v = concept_direction(others + 20 * gain, others, strength=1.0)
    assert v.shape == (2, 3) and abs(v.norm() - 1) < 1e-5
    # all that differs between the sets is the gain
    assert torch.cosine_similarity(v.flatten(), gain.flatten(), 0) > 0.9
    back = concept_direction(others, others + 20 * gain, strength=1.0)
    assert torch.allclose(back, -v, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_the_derivative_along_a_concept_is_the_limit_of_steps(seed):
    with models.seeded(seed):
        head = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
        a, v = torch.randn(4, 2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    S = concept_derivative(head, a, v, torch.tensor([0, 1, 2, 0]))
    for n, c in enumerate((0, 1, 2, 0)):
        step = (head(a[n : n + 1] + 1e-6 * v) - head(a[n : n + 1] - 1e-6 * v)) / 2e-6
        assert abs(S[n] - step[0, c]) < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_counterfactual_of_a_linear_model_is_the_foot_on_the_plane(seed):
    """Between two classes the nearest point of the other is straight ahead, and no nearer one
    exists.
    """
    with models.seeded(seed):
        model, x = nn.Linear(4, 2), torch.randn(5, 4)
    with torch.no_grad():
        target = model(x).argmin(1)
        w = model.weight[target] - model.weight[1 - target]
        lead = (model(x).gather(1, 1 - target[:, None]) - model(x).gather(1, target[:, None]))[:, 0]
    found = counterfactual(model, x, target, 4000, 3e-4, 60.0, low=-99, high=99)
    assert torch.equal(model(found).argmax(1), target)
    expected = lead / w.norm(dim=1)
    distance = (found - x).norm(dim=1)
    assert (distance > expected - 1e-5).all()
    assert torch.allclose(distance, expected, atol=0.05)


def test_a_counterfactual_stays_in_its_bounds_and_says_what_it_did_not_reach():
    model = nn.Linear(2, 2, bias=False)
    model.weight.data = torch.eye(2)
    x = torch.tensor([[0.9, 0.1]])
    near = counterfactual(model, x, 1)
    assert near.min() >= 0 and near.max() <= 1 and near[0, 1] > near[0, 0]
    assert torch.equal(x, torch.tensor([[0.9, 0.1]])) and model.weight.grad is None
    with pytest.raises(ValueError, match="1 of 1 inputs did not reach"):
        counterfactual(model, x, 1, steps=1)
    with pytest.raises(TypeError, match="target"):
        counterfactual(model, x, None)
    with pytest.raises(ValueError, match="weight"):
        counterfactual(model, x, 1, weight=0.0)


def test_the_nearest_that_exists_is_found_by_looking_at_all():
    with models.seeded(0):
        model, x, among = nn.Linear(3, 3), torch.randn(6, 3), torch.randn(50, 3)
    found = nearest_counterfactual(model, x, 2, among)
    of_class = [row for row in among if model(row[None]).argmax() == 2]
    for one, near in zip(x, found):
        best = min(of_class, key=lambda row: (row - one).norm())
        assert torch.equal(best, near)
    with pytest.raises(ValueError, match="among: expected inputs that the model gives"):
        nearest_counterfactual(nn.Identity(), x, 0, torch.tensor([[0.0, 1.0, 0.0]]))


def test_concepts_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="one layer"):
        concept_direction(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="strength"):
        concept_direction(torch.zeros(2, 3), torch.ones(2, 3), 0.0)
    with pytest.raises(ValueError, match="direction"):
        concept_derivative(nn.Linear(3, 2), torch.zeros(1, 3), torch.zeros(2))
    with pytest.raises(ValueError, match="among"):
        nearest_counterfactual(nn.Linear(3, 2), torch.zeros(1, 3), 0, torch.zeros(1, 4))


# ---------------------------------------------------------------- tables and trees


def test_the_tables_of_the_slides():
    table = data.fisher_and_deep()
    assert len(table) == 20 and round(sum(f for f, _ in table.values()) / 20, 2) == 59.99
    entries = data.methods()
    assert len(entries) == 25 and all(entry.keys() == entries[0].keys() for entry in entries)
    assert all(
        re.fullmatch(r"(interpretability|sensitivity|lrp)\.html#[a-z-]+", entry["where"])
        for entry in entries
    )


def test_the_play_tennis_tree_gives_the_rules_of_the_table():
    tree = grow_tree(data.play_tennis(), "play")
    assert tree_rules(tree) == [
        "if outlook is sunny and humidity is high then no",
        "if outlook is sunny and humidity is normal then yes",
        "if outlook is overcast then yes",
        "if outlook is rainy and wind is weak then yes",
        "if outlook is rainy and wind is strong then no",
    ]
    for row in data.play_tennis():
        node = tree
        while isinstance(node, dict):
            ((column, branches),) = node.items()
            node = branches[row[column]]
        assert node == row["play"]


def test_rules_of_a_scikit_learn_tree_decide_as_the_tree_does():
    sklearn = pytest.importorskip("sklearn.tree")
    x, y = normal(200, 3).numpy(), (normal(200, 3).sum(1) > 0).long().numpy()
    tree = sklearn.DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, y)
    rules = tree_rules(tree, ["a", "b", "c"], ["no", "yes"])
    assert len(rules) == tree.get_n_leaves()
    # printed rounded
    near = 1e-3 < np.abs(
        x[:, tree.tree_.feature[tree.tree_.feature >= 0]]
        - tree.tree_.threshold[tree.tree_.feature >= 0]
    ).min(1)
    for row, wanted in zip(x[near], tree.predict(x[near])):
        fits = [
            rule
            for rule in rules
            if all(
                eval(c, {}, dict(zip("abc", row)))
                for c in rule[3:].split(" then ")[0].split(" and ")
            )
        ]
        assert [rule.split(" then ")[1] for rule in fits] == [("no", "yes")[wanted]]
    stump = sklearn.DecisionTreeClassifier().fit(x, np.zeros(200))
    assert tree_rules(stump) == ["always 0.0"]


def test_trees_where_nothing_can_be_told():
    assert grow_tree([{"a": "1", "y": "no"}], "y") == "no" and tree_rules("no") == ["always no"]
    assert (
        grow_tree([{"a": "1", "y": "no"}, {"a": "1", "y": "yes"}, {"a": "1", "y": "yes"}], "y")
        == "yes"
    )
    xor = [{"a": a, "b": b, "y": str(a == b)} for a in "01" for b in "01"]
    assert len(tree_rules(grow_tree(xor, "y"))) == 4


@pytest.mark.parametrize("rows", [[], [{"a": "1"}], [{"a": "1", "y": "2"}, {"y": "2"}]])
def test_tables_that_cannot_be_read_are_refused(rows):
    with pytest.raises(ValueError, match="rows: expected"):
        grow_tree(rows, "y")


def test_rules_refuse_what_is_no_tree_and_too_few_names():
    sklearn = pytest.importorskip("sklearn.tree")
    tree = sklearn.DecisionTreeClassifier().fit(np.eye(3), [0, 1, 1])
    with pytest.raises(TypeError, match="tree: expected"):
        tree_rules(3)
    with pytest.raises(ValueError, match="features: expected 3 names, got 2"):
        tree_rules(tree, ["a", "b"])
    with pytest.raises(ValueError, match="classes: expected 2"):
        tree_rules(tree, classes=["a"])
