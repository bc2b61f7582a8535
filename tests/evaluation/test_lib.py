"""Scores of explanations against slow recomputations in float64, against scipy and Quantus where
its definition is the same.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from lib import data, models
from lib import evaluation as ev
from lib.interpretability import shapley
from lib.lrp import ZPlus, lrp
from lib.sensitivity import gradient_x_input, sensitivity

torch.set_num_threads(1)


def draw(*size, seed=0, dtype=torch.float64):
    return torch.randn(
        *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(dtype)


class Net(nn.Module):
    """Images of any size to three scores, with a buffer that counts and dropout: what must be left
    alone.
    """

    def __init__(self, channels=2, dtype=torch.float64):
        super().__init__()
        with models.seeded(1):
            self.conv, self.drop, self.head = (
                nn.Conv2d(channels, 4, 3, padding=1),
                nn.Dropout(),
                nn.Linear(4, 3),
            )
        self.register_buffer("calls", torch.zeros(()))
        self.to(dtype)

    def forward(self, x):
        self.calls += 1
        h = self.conv(x).relu()
        return self.head(self.drop((h * h.cumsum(3)).mean((2, 3))))


def images(n=3, c=2, h=5, w=4, dtype=torch.float64):
    return draw(n, c, h, w, dtype=dtype), draw(n, c, h, w, seed=1, dtype=dtype)


def patches(h, w, p):
    """Patches as lists of pixels, in reading order."""
    return [
        [(i, j) for i in range(a, min(a + p, h)) for j in range(b, min(b + p, w))]
        for a in range(0, h, p)
        for b in range(0, w, p)
    ]


def slow(model, x, R, c, p, other, order, steps=None):
    """One image: f_c after each step, patch by patch."""
    model = model.eval()
    parts = patches(*x.shape[1:], p)
    total = [sum(R[:, i, j].sum().item() for i, j in part) for part in parts]
    chosen = sorted(
        range(len(parts)), key=lambda k: (-total[k] if order == "morf" else total[k], k)
    )
    steps = steps or len(parts)
    result = []
    for s in range(steps + 1):
        gone = chosen[: s * len(parts) // steps]
        result.append(model(other(x, parts, gone)[None])[0, c].item())
    return result


def constant(filling):
    def replaced(x, parts, gone):
        x = x.clone()
        for k in gone:
            for i, j in parts[k]:
                x[:, i, j] = filling[:, i, j]
        return x

    return replaced


def neighbours(x, parts, gone):
    """Each patch that is gone: mean of the others' means, weighted by 1 / distance^4."""
    result, left = x.clone(), [k for k in range(len(parts)) if k not in gone]
    centre = [np.mean(part, axis=0) for part in parts]
    mean = [torch.stack([x[:, i, j] for i, j in part]).mean(0) for part in parts]
    for k in gone:
        weights = [1 / np.linalg.norm(centre[k] - centre[m]) ** 4 for m in left]
        value = (
            sum(w * mean[m] for w, m in zip(weights, left)) / sum(weights)
            if left
            else x.mean((1, 2))
        )
        for i, j in parts[k]:
            result[:, i, j] = value
    return result


# ---------------------------------------------------------------- flipping


@pytest.mark.parametrize("order", ["morf", "lerf"])
@pytest.mark.parametrize(("patch", "steps"), [(1, None), (1, 7), (2, None), (3, 2), (9, None)])
def test_a_flipping_curve_is_that_of_a_slow_loop(patch, steps, order):
    model, (x, R), target = Net(), images(), torch.tensor([0, 2, 1])
    got = ev.pixel_flipping(model, x, R, target, patch, 0.3, order, steps)
    for k in range(3):
        wanted = slow(
            model, x[k], R[k], target[k], patch, constant(torch.full_like(x[k], 0.3)), order, steps
        )
        assert np.allclose(got.scores[k], wanted, atol=1e-12)
    assert torch.allclose(
        got.aopc,
        torch.tensor(
            [sum(row[0] - v for v in row) / len(row) for row in got.scores.tolist()], dtype=x.dtype
        ),
    )


@pytest.mark.parametrize("patch", [1, 2])
def test_each_replacement_is_what_it_says(patch):
    model, (x, R) = Net(), images()
    u = torch.rand(x[0].shape, generator=torch.Generator().manual_seed(5), dtype=x.dtype)
    other = draw(2, 5, 4, seed=9)
    for k in range(3):
        low, high = x[k].min(), x[k].max()
        ways = {
            "uniform": constant(low + (high - low) * u),
            "mean": constant(x[k].mean((1, 2), keepdim=True).expand_as(x[k])),
            "neighbours": neighbours,
            2.5: constant(torch.full_like(x[k], 2.5)),
        }
        for way, replaced in [*ways.items(), (other, constant(other))]:
            got = ev.pixel_flipping(model, x, R, 1, patch, way, seed=5).scores[k]
            assert np.allclose(
                got, slow(model, x[k], R[k], 1, patch, replaced, "morf"), atol=1e-10
            ), way


def test_blur_is_the_image_under_a_gaussian():
    x, R = images()
    side = np.arange(5)
    kernel = np.exp(-((side[:, None] - side) ** 2) / 2 / (0.15 * 5) ** 2)
    wide = np.arange(4)
    across = np.exp(-((wide[:, None] - wide) ** 2) / 2 / (0.15 * 4) ** 2)
    wanted = np.einsum(
        "ia,jb,ncab->ncij",
        kernel / kernel.sum(1, keepdims=True),
        across / across.sum(1, keepdims=True),
        x.numpy(),
    )
    assert np.allclose(ev.flipped(x, R, 20, replace="blur"), wanted, atol=0.05)


def test_flipped_is_what_the_model_sees():
    model, (x, R) = Net().eval(), images()
    curve = ev.pixel_flipping(model, x, R, 0, replace="neighbours")
    for count in (0, 3, 20):
        assert torch.allclose(
            model(ev.flipped(x, R, count, replace="neighbours"))[:, 0], curve.scores[:, count]
        )
    assert torch.equal(ev.flipped(x, R, 0), x)


def test_ties_go_in_reading_order_both_ways():
    x = torch.arange(1.0, 7).view(1, 1, 2, 3)
    for order in ("morf", "lerf"):
        assert ev.flipped(
            x, torch.zeros_like(x), 2, replace=0.0, order=order
        ).flatten().tolist() == [0, 0, 3, 4, 5, 6]
    R = torch.tensor([[[[1.0, 2, 1], [2, 1, 2]]]])
    assert ev.flipped(x, R, 4, replace=0.0).flatten().tolist() == [0, 0, 3, 0, 5, 0]
    assert ev.flipped(x, R, 4, replace=0.0, order="lerf").flatten().tolist() == [0, 0, 0, 4, 0, 6]


def test_features_sequences_volumes_and_maps_without_channels():
    for shape, patch in (((2, 6), 2), ((2, 3, 7), 2), ((2, 2, 3, 4, 2), 2)):
        x, R = draw(*shape), draw(*shape, seed=1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape[1:]), 3)).double()
        curve = ev.pixel_flipping(model, x, R, patch=patch, replace="mean")
        count = math.prod(-(-size // patch) for size in shape[2:] or shape[1:])
        assert curve.scores.shape == (2, count + 1) and curve.removed.tolist() == list(
            range(count + 1)
        )
        if len(shape) > 2:
            assert torch.equal(
                curve.scores,
                ev.pixel_flipping(model, x, R.sum(1), patch=patch, replace="mean").scores,
            )


def test_orders_share_their_ends_and_random_orders_of_a_linear_model_give_a_line():
    x, w = draw(1, 4), draw(4, seed=2)
    model = nn.Linear(4, 1, bias=False).double()
    model.weight.data = w[None]
    curves = [
        ev.pixel_flipping(model, x, torch.tensor([R], dtype=x.dtype), replace=0.0).scores[0]
        for R in itertools.permutations(range(4))
    ]
    assert torch.allclose(
        torch.stack(curves).mean(0), (x @ w) * torch.linspace(1, 0, 5, dtype=x.dtype)
    )
    model, (x, R) = Net(), images()
    morf, lerf = (ev.pixel_flipping(model, x, R, order=order).scores for order in ("morf", "lerf"))
    assert torch.allclose(morf[:, [0, -1]], lerf[:, [0, -1]])
    assert torch.allclose(ev.pixel_flipping(model, x, -R, order="lerf").scores, morf)


def test_one_image_is_a_row_of_its_batch_and_precisions_agree():
    model, (x, R) = Net(), images(5)
    for way in ("uniform", "mean", "blur", "neighbours"):
        whole = ev.pixel_flipping(model, x, R, 1, 2, way).scores
        assert torch.allclose(
            ev.pixel_flipping(model, x[[3]], R[[3]], 1, 2, way).scores[0], whole[3]
        )
        if way != "uniform":  # its draws differ by the dtype
            single = ev.pixel_flipping(
                Net(dtype=torch.float32), x.float(), R.float(), 1, 2, way
            ).scores
            assert single.dtype == torch.float32 and torch.allclose(
                single.double(), whole, atol=1e-4
            )


def test_pieces_that_bound_the_memory_change_nothing(monkeypatch):
    seen, model, (x, R) = [], Net(), images(7, h=64, w=64)
    model.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].numel()))
    ev.pixel_flipping(model, x, R, patch=4, replace="neighbours")
    assert max(seen) <= 2**18


def test_k_steps_cost_k_plus_one_passes():
    model, (x, R), passed = Net(), images(3), []
    model.register_forward_hook(lambda module, inputs, output: passed.append(len(inputs[0])))
    ev.pixel_flipping(model, x, R, steps=5)
    assert sum(passed) == 3 * 6


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"relevance": None}, TypeError),
        ({"relevance": torch.zeros(3, 2, 5, 3)}, ValueError),
        ({"relevance": torch.full((3, 2, 5, 4), float("nan"))}, ValueError),
        ({"patch": 0}, ValueError),
        ({"patch": 1.5}, TypeError),
        ({"replace": "black"}, ValueError),
        ({"replace": torch.zeros(7)}, ValueError),
        ({"replace": None}, TypeError),
        ({"order": "random"}, ValueError),
        ({"steps": 0}, ValueError),
        ({"steps": 21}, ValueError),
        ({"seed": 0.5}, TypeError),
        ({"target": 3}, ValueError),
        ({"x": torch.zeros(3, 2, 5, 4, dtype=torch.long)}, TypeError),
    ],
)
def test_bad_arguments_of_flipping_are_named(wrong, error):
    x, R = images()
    arguments = {"model": Net(), "x": x, "relevance": R} | wrong
    with pytest.raises(error, match=f"^{next(iter(wrong))}: expected"):
        ev.pixel_flipping(**arguments)


def test_replacements_that_need_places_say_so():
    for way in ("blur", "neighbours"):
        with pytest.raises(ValueError, match="^replace: expected"):
            ev.pixel_flipping(nn.Linear(4, 2).double(), draw(1, 4), draw(1, 4), replace=way)
    x = torch.zeros(1, 1, 80, 80)
    with pytest.raises(ValueError, match="make patch larger"):
        ev.flipped(x, x, 1, replace="neighbours")


# ---------------------------------------------------------------- words


class Counter(nn.Module):
    """A score that depends on which words stand where."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 1)

    def forward(self, words):
        value = words * torch.arange(1, words.shape[1] + 1)
        return torch.stack([value.sum(1), value.square().sum(1)], 1).double()


@pytest.mark.parametrize("order", ["morf", "lerf"])
def test_words_are_deleted_one_by_one(order):
    words = torch.tensor([[0, 0, 3, 5, 8], [1, 2, 3, 4, 5], [0, 0, 0, 0, 7]])
    R = draw(3, 5)
    got = ev.word_deleting(Counter(), words, R, 1, order)
    for k in range(3):
        text = words[k].tolist()
        places = sorted(
            (i for i in range(5) if text[i]), key=lambda i: -R[k, i] if order == "morf" else R[k, i]
        )
        for step in range(6):
            left = [0 if i in places[:step] else v for i, v in enumerate(text)]
            assert got.scores[k, step] == sum((v * (i + 1)) ** 2 for i, v in enumerate(left))
    assert got.removed.tolist() == [[0, 1, 2, 3, 3, 3], [0, 1, 2, 3, 4, 5], [0, 1, 1, 1, 1, 1]]
    assert torch.equal(
        ev.word_deleting(Counter(), words, R[..., None].expand(3, 5, 2), 1, order).scores,
        got.scores,
    )


def test_bad_words_are_refused():
    words = torch.ones(2, 3, dtype=torch.long)
    with pytest.raises(TypeError, match="^words: expected"):
        ev.word_deleting(nn.Linear(3, 2), torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match="^relevance: expected"):
        ev.word_deleting(Counter(), words, torch.ones(2, 4))
    with pytest.raises(ValueError, match="^order: expected"):
        ev.word_deleting(Counter(), words, torch.ones(2, 3), order="first")


# ---------------------------------------------------------------- properties


def test_conservation_and_positivity_are_their_sums():
    model, (x, R) = Net().eval(), images()
    f = model(x)
    for k in range(3):
        total = sum(R[k].flatten().tolist())
        assert ev.conservation(model, x, R, 2)[k].item() == pytest.approx(total / f[k, 2].item())
        positive = sum(v for v in R[k].flatten().tolist() if v > 0)
        assert ev.positivity(R)[k].item() == pytest.approx(
            positive / sum(map(abs, R[k].flatten().tolist()))
        )
    assert ev.positivity(torch.zeros(2, 3)).tolist() == [1, 1]


def test_continuity_finds_a_jump_of_known_size_and_none_in_a_smooth_map():
    x = torch.zeros(6, 1, dtype=torch.float64)
    jump = ev.continuity(
        lambda model, x, target: 1 + 2.0 * (x.abs() > 0.05) + x, nn.Identity(), x, radius=1.0
    )
    assert torch.allclose(jump, jump[:1].expand(6)) and 0.4 < jump[0] < 0.8
    smooth = ev.continuity(lambda model, x, target: x.sin(), nn.Identity(), x + 1, radius=1.0)
    assert (smooth < 1e-5).all()
    assert ev.continuity(lambda model, x, target: 0 * x, nn.Identity(), x).tolist() == [0] * 6


def test_at_a_maximum_of_two_gradients_jump_and_relevance_does_not():
    model = models.mlp(2, hidden=(3,), classes=1, bias=False).double()
    model[1].weight.data = torch.tensor([[1.0, -1], [-1, 1], [1, 1]], dtype=torch.float64)
    model[3].weight.data = torch.full((1, 3), 0.5, dtype=torch.float64)
    x = torch.tensor([[1.0, 1.02], [1.0, 0.98]], dtype=torch.float64)
    # all of it moves: out of one input, into the other
    assert ev.continuity(gradient_x_input, model, x, radius=0.05).max() == pytest.approx(2, abs=0.2)
    assert ev.continuity(lambda *a: lrp(*a, rules=ZPlus()), model, x, radius=0.05).max() < 1e-4


def test_selectivity_is_area_beyond_chance():
    model, (x, R) = Net(), images()
    generator = torch.Generator().manual_seed(3)
    chance = [
        ev.pixel_flipping(
            model,
            x,
            torch.rand(2, 5, 4, generator=generator, dtype=x.dtype).expand_as(x),
            replace=0.0,
            seed=3,
        ).aopc
        for _ in range(4)
    ]
    wanted = ev.pixel_flipping(model, x, R, replace=0.0, seed=3).aopc - sum(chance) / 4
    assert torch.allclose(ev.selectivity(model, x, R, orders=4, seed=3, replace=0.0), wanted)


def test_the_table_holds_what_the_single_measures_give():
    model, (x, _) = Net(), images()
    table = ev.properties_table(
        {"squares": sensitivity, "sum": gradient_x_input}, model, x, 1, steps=5
    )
    cell = table["squares"]["positivity"]
    assert (cell.median, cell.low, cell.high, cell.holds) == (1, 1, 1, True)
    R = gradient_x_input(model, x, 1)
    assert torch.allclose(
        table["sum"]["conservation"].values, (1 - ev.conservation(model, x, R, 1)).abs()
    )
    assert torch.allclose(
        table["sum"]["selectivity"].values, ev.selectivity(model, x, R, 1, steps=5)
    )
    assert torch.equal(
        table["sum"]["continuity"].values, ev.continuity(gradient_x_input, model, x, 1)
    )
    for row in table.values():
        for cell in row.values():
            assert cell.low <= cell.median <= cell.high and cell.median == np.median(cell.values)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    samples = draw(300, 40, seed=4)
    inside = [low < 0 < high for low, high in (ev.confidence(row) for row in samples)]
    assert 0.89 < sum(inside) / 300 < 0.98
    low, high = ev.confidence(draw(30, 5))
    assert low.shape == high.shape == (5,) and (low < high).all()
    assert ev.confidence(torch.tensor([2.0])) == (2, 2)
    with pytest.raises(ValueError, match="^level: expected"):
        ev.confidence(torch.ones(3), level=95)


# ---------------------------------------------------------------- known truth


def test_truth_scores_are_those_of_loops():
    R, mask = draw(4, 3, 5, 6), draw(4, 5, 6, seed=1) > 0.3
    for k in range(4):
        pixel = {(i, j): R[k, :, i, j].sum().item() for i in range(5) for j in range(6)}
        inside = {place for place in pixel if mask[k][place]}
        positive = {place: max(v, 0) for place, v in pixel.items()}
        assert ev.relevance_mass(R, mask)[k].item() == pytest.approx(
            sum(positive[p] for p in inside) / sum(positive.values())
        )
        top = sorted(pixel, key=lambda p: -pixel[p])[: len(inside)]
        assert ev.relevance_rank(R, mask)[k].item() == pytest.approx(
            len(inside & set(top)) / len(inside)
        )
        assert ev.pointing_game(R, mask)[k].item() == (max(pixel, key=pixel.get) in inside)
        assert ev.context_use(R, mask)[k].item() == pytest.approx(
            sum(v for p, v in positive.items() if p not in inside)
            / sum(positive[p] for p in inside)
        )
        assert ev.relevance_mass(R.sum(1), mask)[k] == ev.relevance_mass(R, mask)[k]


def test_boxes_are_those_of_the_scenes():
    scenes = data.scenes(6, seed=2)
    R = draw(6, 32, 32).abs()
    mask = torch.zeros(6, 32, 32, dtype=torch.bool)
    for k, (left, top, right, bottom) in enumerate(scenes.boxes.tolist()):
        mask[k, top:bottom, left:right] = True
    assert torch.equal(ev.context_use(R, scenes.boxes), ev.context_use(R, mask))
    assert ev.context_use(R * scenes.object_masks, scenes.boxes).tolist() == [0] * 6


def test_edges_of_the_truth_scores():
    zero, none = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool)
    assert ev.relevance_mass(zero, ~none).tolist() == [0] and ev.relevance_rank(
        zero, none
    ).tolist() == [0]
    assert ev.pointing_game(zero, ~none).tolist() == [1]
    assert ev.context_use(zero + 1, none).tolist() == [float("inf")]
    for score in (ev.relevance_mass, ev.relevance_rank, ev.pointing_game):
        with pytest.raises(TypeError, match="^mask: expected a bool"):
            score(zero, zero)
        with pytest.raises(ValueError, match="^mask: expected shape"):
            score(zero, torch.zeros(1, 2, 3, dtype=torch.bool))
        with pytest.raises(ValueError, match="^relevance: expected"):
            score(zero[0], none)
        with pytest.raises(ValueError, match="^relevance: expected finite"):
            score(zero / 0, none)
    with pytest.raises(TypeError, match="^box: expected"):
        ev.context_use(zero, torch.zeros(1, 3))


# ---------------------------------------------------------------- shuffled weights


def test_rank_correlation_is_that_of_scipy_with_ties_too():
    for a, b in (
        (draw(5, 20), draw(5, 20, seed=1)),
        (draw(5, 20).round(), draw(5, 20, seed=1).round()),
    ):
        wanted = [spearmanr(p, q).statistic for p, q in zip(a, b)]
        assert np.allclose(ev.rank_correlation(a, b), wanted, atol=1e-6)
    assert ev.rank_correlation(torch.ones(1, 3), torch.rand(1, 3)).isnan().all()


@pytest.mark.parametrize("cascading", [True, False])
def test_weights_are_shuffled_from_the_output_down(cascading):
    model, x, seen = models.mlp(4, (5, 3), 2), draw(3, 4, dtype=torch.float32), []

    def method(model, x, target):
        seen.append([p.clone() for p in model.parameters()])
        return gradient_x_input(model, x, target)

    result = ev.randomization_check(method, model, x, cascading=cascading, seed=2)
    assert (
        result.layers == ("5", "3", "1")
        and result.relevance.shape == (3, 3, 4)
        and result.similarity.shape == (3, 3)
    )
    before = seen[0]
    for step, after in enumerate(seen[1:]):
        changed = [not torch.equal(p, q) for p, q in zip(before, after)][::2]
        assert changed == [
            (2 - layer <= step) if cascading else (2 - layer == step) for layer in range(3)
        ]
        assert all(
            torch.equal(p.flatten().sort().values, q.flatten().sort().values)
            for p, q in zip(before, after)
        )
    first = gradient_x_input(model, x)
    assert torch.allclose(
        result.similarity[0], ev.rank_correlation(first.abs(), result.relevance[0].abs())
    )


def test_the_most_relevant_pixels_are_chosen_and_ties_are_drawn():
    R = draw(6, 3, 4, 5)
    chosen = ev.most_relevant(R, 0.35)
    assert chosen.shape == (6, 4, 5) and (chosen.flatten(1).sum(1) == 7).all()
    total = R.sum(1)
    for r, m in zip(total, chosen):
        assert r[m].min() >= r[~m].max()
    assert not ev.most_relevant(R, 0).any() and ev.most_relevant(R, 1).all()
    same = torch.zeros(400, 1, 2, 5)
    share = ev.most_relevant(same, 0.3).double().mean(0)
    assert (share - 0.3).abs().max() < 0.12  # no place is preferred
    assert torch.equal(ev.most_relevant(same, 0.3, 1), ev.most_relevant(same, 0.3, 1))
    assert not torch.equal(ev.most_relevant(same, 0.3, 1), ev.most_relevant(same, 0.3, 2))


@pytest.mark.parametrize(
    ("relevance", "share", "message"),
    [
        ([1.0], 0.5, "^relevance: expected a tensor, got list"),
        (torch.ones(2, 3), 0.5, r"^relevance: expected \(N, C, H, W\), got shape \(2, 3\)"),
        (torch.full((1, 1, 2, 2), float("nan")), 0.5, "^relevance: expected numbers, got NaN"),
        (torch.ones(1, 1, 2, 2), 1.5, r"^share: expected a number in \[0, 1\], got 1.5"),
        (torch.ones(1, 1, 2, 2), float("nan"), "^share: "),
    ],
)
def test_what_is_no_map_and_no_share_is_refused(relevance, share, message):
    with pytest.raises((TypeError, ValueError), match=message):
        ev.most_relevant(relevance, share)


def test_a_shuffled_network_keeps_its_numbers_and_none_of_their_places():
    model = models.mlp(20, (30,), 10)
    before = [p.clone() for p in model.parameters()]
    other, again = ev.shuffled(model, 4), ev.shuffled(model, 4)
    for p, q, same, first in zip(
        model.parameters(), other.parameters(), again.parameters(), before
    ):
        assert torch.equal(p, first) and torch.equal(q, same) and not torch.equal(p, q)
        assert torch.equal(p.flatten().sort().values, q.flatten().sort().values)


def test_a_map_of_the_input_alone_does_not_change():
    result = ev.randomization_check(
        lambda model, x, target: x, models.mlp(4, (5,), 2), draw(3, 4, dtype=torch.float32)
    )
    assert torch.allclose(result.similarity, torch.ones(2, 3))
    with pytest.raises(ValueError, match="^model: expected parameters"):
        ev.randomization_check(gradient_x_input, nn.ReLU(), torch.ones(1, 2))


# ---------------------------------------------------------------- nothing is disturbed


CALLS = {
    "flipping": lambda m, x, R: ev.pixel_flipping(m, x, R, steps=3),
    "conservation": lambda m, x, R: ev.conservation(m, x, R),
    "continuity": lambda m, x, R: ev.continuity(sensitivity, m, x, points=3, halvings=2),
    "selectivity": lambda m, x, R: ev.selectivity(m, x, R, steps=2),
    "table": lambda m, x, R: ev.properties_table({"a": sensitivity}, m, x, steps=2),
    "randomization": lambda m, x, R: ev.randomization_check(sensitivity, m, x),
}


@pytest.mark.parametrize("name", CALLS)
def test_everything_is_left_as_it_was(name):
    model, (x, R) = Net().train(), images()
    weights, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    copies = x.clone(), R.clone()
    x.requires_grad_()
    CALLS[name](model, x, R)
    with pytest.raises((ValueError, TypeError)):
        CALLS[name](model, x, R[:, :, :2]) if name in ("flipping", "selectivity") else CALLS[name](
            model, x * float("nan"), R
        )
    assert torch.equal(x, copies[0]) and torch.equal(R, copies[1]) and x.grad is None
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert all(module.training for module in model.modules()) and all(
        p.requires_grad and p.grad is None for p in model.parameters()
    )
    assert torch.equal(torch.get_rng_state(), state)


# ---------------------------------------------------------------- the reference library


def test_the_curve_is_that_of_quantus():
    quantus = pytest.importorskip("quantus")
    model, x = (
        models.cnn(1, 28).eval(),
        torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0)),
    )
    R, y = draw(8, 1, 28, 28, dtype=torch.float32), torch.arange(8) % 10
    theirs = quantus.PixelFlipping(
        features_in_step=28,
        perturb_baseline="black",
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    wanted = np.array(
        theirs(model, x.numpy(), y.numpy(), a_batch=R.numpy(), device="cpu", batch_size=8)
    )
    ours = ev.pixel_flipping(
        nn.Sequential(model, nn.Softmax(1)),
        x,
        R,
        y,
        replace=x.amin((1, 2, 3), keepdim=True),
        steps=28,
    ).scores
    assert np.allclose(ours[:, 1:], wanted, atol=1e-6)


def test_complexity_and_max_sensitivity_are_those_of_quantus():
    """Its infidelity destroys one square after the other and keeps all destroyed, which is another
    score.
    """
    quantus = pytest.importorskip("quantus")
    model, x = models.cnn(1, 28).eval(), torch.rand(4, 1, 28, 28)
    R, y = draw(4, 1, 28, 28, dtype=torch.float32).abs(), torch.arange(4)
    quiet = {"disable_warnings": True, "normalise": False}
    given = {"x_batch": x.numpy(), "y_batch": y.numpy(), "device": "cpu"}
    theirs = quantus.Complexity(**quiet)(model, a_batch=R.numpy(), **given)
    assert np.allclose(ev.complexity(R), theirs, atol=1e-5)

    draws = torch.Generator().manual_seed(5)
    steps = [0.02 * (2 * torch.rand(x.shape, generator=draws) - 1) for _ in range(3)]
    moved = iter(steps)
    explain = lambda model, inputs, targets, **_: sensitivity(
        model, torch.as_tensor(inputs), torch.as_tensor(targets)
    ).numpy()
    score = quantus.MaxSensitivity(
        nr_samples=3,
        perturb_func=lambda arr, **_: arr + next(moved).flatten(1).numpy(),
        perturb_func_kwargs={},
        abs=False,
        **quiet,
    )
    theirs = score(model, explain_func=explain, **given)
    ours = ev.max_sensitivity(sensitivity, model, x, y, 0.02, samples=3, seed=5)
    assert np.allclose(ours, theirs, rtol=1e-4)


# ---------------------------------------------------------------- planted networks


def test_a_planted_network_reads_its_patterns_and_nothing_else():
    world = ev.planted(6, seed=3)
    x, network = world.images, world.network
    R = ev.planted_truth(network, x, 0)
    assert torch.allclose(R.sum((1, 2, 3)), network(x)[:, 0], atol=1e-4)
    assert torch.equal(R[:, 0] > 0, world.evidence) and (network(x)[:, 0] > 2).all()
    assert torch.equal(ev.planted_truth(network, x, 1), -R)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    outside = torch.where(R == 0, 0.45 + 0.1 * noise, x)
    assert torch.allclose(network(outside), network(x), atol=1e-4)


def test_the_planted_truth_holds_the_shapley_values_against_grey():
    """Exactly: pairs of pixels of one pattern are players, and all the rest is one more."""
    world = ev.planted(1, seed=4)
    network, x = world.network, world.images
    top, left = (network[0](x)[0, 0] > 0).nonzero()[0].tolist()
    players = torch.zeros(20, 20, dtype=torch.long)
    players[top : top + 4, left : left + 4] = 1 + torch.arange(16).view(4, 4) // 2
    found = shapley(network, x, 0, regions=players, method="exact", baseline=0.5)
    truth = ev.planted_truth(network, x, 0)
    assert torch.allclose(found[0, 0][players > 0], truth[0, 0][players > 0], atol=1e-5)


def test_displaced_relevance_is_the_same_elsewhere():
    R = torch.zeros(3, 1, 4, 4)
    R[:, :, 0] = draw(3, 1, 4, dtype=torch.float32)
    for share in (0, 0.5, 1):
        got = ev.displaced(R, share, seed=2)
        assert torch.equal(got.flatten(1).sort(1).values, R.flatten(1).sort(1).values)
        assert ((got != 0) & (R != 0)).flatten(1).sum(1).tolist() == [4 - 4 * share] * 3
    with pytest.raises(ValueError, match="^share: expected"):
        ev.displaced(R, 1.5)
    with pytest.raises(ValueError, match="^relevance: expected"):
        ev.displaced(torch.ones(1, 4), 0.5)


def test_bad_arguments_of_the_three_scores_are_named():
    model, (x, R) = Net(), images()
    for wrong in ({"radius": 0}, {"samples": 0}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected"):
            ev.max_sensitivity(sensitivity, model, x, **wrong)
    for wrong in ({"window": 5}, {"replace": "neighbours"}, {"relevance": R[:2]}, {"samples": 0}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected"):
            ev.infidelity(model, x, **({"relevance": R, "window": 2} | wrong))
    with pytest.raises(ValueError, match="^n: expected"):
        ev.planted(0, seed=0)
