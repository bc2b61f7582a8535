"""Applications: the sums by loops over floats, the worlds and their truths, the networks under LRP,
the game and its rules.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import applications as apps
from lib import data, evaluation, models, plots
from lib.applications import gallery
from lib.lrp import Epsilon, Zero, lrp

SEEDS = st.integers(0, 10_000)
quick = settings(max_examples=25, deadline=None)


def draw(seed, *size):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- sums


@quick
@given(SEEDS, st.integers(1, 4), st.integers(1, 7), st.integers(1, 4))
def test_pooled_words_are_the_sums_of_a_loop(seed, n, t, count):
    R, groups = (
        draw(seed, n, t),
        torch.randint(-1, count, (n, t), generator=torch.Generator().manual_seed(seed)),
    )
    expected = [
        [sum(float(r) for r, g in zip(R[k], groups[k]) if g == j) for j in range(count)]
        for k in range(n)
    ]
    assert torch.allclose(
        apps.pool_words(R, groups, count), torch.tensor(expected, dtype=torch.float64)
    )


@quick
@given(SEEDS, st.integers(1, 3), st.integers(1, 5), st.integers(1, 6))
def test_pooled_regions_are_the_sums_of_a_loop(seed, n, height, width):
    R, regions = draw(seed, n, 2, height, width), draw(seed + 1, n, 3, height, width) > 0
    expected = [
        [
            sum(
                float(R[k, :, y, x].sum())
                for y in range(height)
                for x in range(width)
                if regions[k, g, y, x]
            )
            for g in range(3)
        ]
        for k in range(n)
    ]
    assert torch.allclose(
        apps.pool_regions(R, regions), torch.tensor(expected, dtype=torch.float64)
    )
    assert torch.allclose(apps.pool_regions(R.sum(1), regions), apps.pool_regions(R, regions))


@quick
@given(SEEDS, st.integers(1, 5))
def test_pooled_context_use_adds_before_it_divides(seed, n):
    R, masks = draw(seed, n, 4, 5), draw(seed + 1, n, 4, 5) > 0
    masks[0, 0, 0], R[0, 0, 0] = True, 1.0
    inside = sum(max(0.0, float(r)) for r, m in zip(R.flatten(), masks.flatten()) if m)
    outside = sum(max(0.0, float(r)) for r, m in zip(R.flatten(), masks.flatten()) if not m)
    assert apps.pooled_context_use(R, masks).item() == pytest.approx(outside / inside)
    assert apps.pooled_context_use(R[:1], masks[:1]).item() == pytest.approx(
        evaluation.context_use(R[:1], masks[:1]).item()
    )


def test_pooled_context_use_at_its_limits():
    box = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]])
    nothing_in_one = torch.tensor([[[-1.0, 2.0]], [[4.0, 2.0]]])
    assert apps.pooled_context_use(nothing_in_one, box).item() == 1
    assert apps.pooled_context_use(torch.tensor([[[-1.0, 2.0]]] * 2), box).item() == float("inf")
    assert apps.pooled_context_use(torch.tensor([[[-1.0, -2.0]], [[4.0, 2.0]]]), box).item() == 0.5


@quick
@given(SEEDS, st.integers(1, 4), st.integers(1, 8))
def test_for_and_against_add_up(seed, n, d):
    R = draw(seed, n, d)
    both = apps.for_and_against(R)
    assert (
        torch.allclose(both.sum(1), R.sum(1))
        and (both[:, 0] >= 0).all()
        and (both[:, 1] <= 0).all()
    )
    assert torch.allclose(both[:, 0] - both[:, 1], R.abs().sum(1))


@quick
@given(SEEDS, st.integers(1, 4), st.integers(2, 9), st.booleans())
def test_the_auc_counts_pairs(seed, n, d, ties):
    R, truth = draw(seed, n, d), draw(seed + 1, n, d) > 0
    truth[:, 0], truth[:, 1] = True, False
    R = R.round() if ties else R
    expected = []
    for r, t in zip(R.tolist(), truth.tolist()):
        pairs = [(p, q) for p, inside in zip(r, t) if inside for q, also in zip(r, t) if not also]
        expected.append(sum((p > q) + 0.5 * (p == q) for p, q in pairs) / len(pairs))
    assert torch.allclose(apps.truth_auc(R, truth), torch.tensor(expected, dtype=torch.float64))


def test_the_auc_is_that_of_scikit_learn_and_of_any_shape():
    metrics = pytest.importorskip("sklearn.metrics")
    R, truth = draw(1, 3, 2, 4, 5), draw(2, 3, 2, 4, 5) > 0
    expected = [metrics.roc_auc_score(t.flatten(), r.flatten()) for r, t in zip(R, truth)]
    assert np.allclose(apps.truth_auc(R, truth), expected)
    assert torch.allclose(
        apps.truth_auc(R.float(), truth).double(), apps.truth_auc(R, truth), atol=1e-6
    )
    assert apps.truth_auc(R, torch.zeros_like(truth)).isnan().all()


def test_the_mass_is_that_of_the_evaluation_for_images():
    R, truth = draw(3, 4, 5, 6), draw(4, 4, 5, 6) > 0
    assert torch.allclose(apps.truth_mass(R, truth), evaluation.relevance_mass(R, truth))


def test_a_contrast_explains_the_difference_of_two_scores():
    model, x = models.mlp(6, (5,), 3, bias=False).double(), draw(0, 4, 6)
    R, f = apps.contrast(lrp, model, x, 2, 0, rules=Zero()), model(x).detach()
    assert torch.allclose(R.sum(1), f[:, 2] - f[:, 0])
    assert torch.equal(
        apps.contrast(lrp, model, x, torch.tensor([1, 1, 2, 0]), 0)[3],
        torch.zeros(6, dtype=torch.float64),
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: apps.pool_words([[1.0]], torch.zeros(1, 1).long(), 1),
            TypeError,
            "relevance: expected a floating-point tensor, got list",
        ),
        (
            lambda: apps.pool_words(torch.ones(2, 3), torch.zeros(2, 3), 1),
            TypeError,
            "groups: expected a LongTensor",
        ),
        (
            lambda: apps.pool_words(torch.ones(2, 3), torch.zeros(2, 2).long(), 1),
            ValueError,
            r"groups: .*\(2, 2\)",
        ),
        (
            lambda: apps.pool_words(torch.ones(2, 3), torch.full((2, 3), 4), 4),
            ValueError,
            r"groups: expected numbers -1\.\.3",
        ),
        (
            lambda: apps.pool_words(torch.ones(2, 3), torch.zeros(2, 3).long(), 0),
            ValueError,
            "count: .* got 0",
        ),
        (
            lambda: apps.pool_words(torch.ones(2, 3) / 0, torch.zeros(2, 3).long(), 1),
            ValueError,
            "relevance: expected finite",
        ),
        (
            lambda: apps.pool_regions(torch.ones(2, 3, 3), torch.ones(2, 1, 3, 3)),
            TypeError,
            "regions: expected a bool",
        ),
        (
            lambda: apps.pool_regions(torch.ones(2, 3, 3), torch.ones(2, 1, 3, 4).bool()),
            ValueError,
            "regions: expected shape",
        ),
        (
            lambda: apps.pooled_context_use(torch.ones(2, 3, 3), torch.ones(1, 4).long()),
            TypeError,
            "box",
        ),
        (
            lambda: apps.for_and_against(torch.ones(3)),
            ValueError,
            r"relevance: expected a batch .* got shape \(3,\)",
        ),
        (
            lambda: apps.truth_auc(torch.ones(2, 3), torch.ones(2, 3)),
            TypeError,
            "truth: expected a bool",
        ),
        (
            lambda: apps.truth_mass(torch.ones(2, 3), torch.ones(2, 4).bool()),
            ValueError,
            r"truth: expected shape \(2, 3\)",
        ),
        (lambda: apps.signed_reviews(3, 0, agree=1.5), ValueError, "agree: .* got 1.5"),
        (lambda: apps.mixed_scenes(3, 0, context=(0, 1)), ValueError, "context: expected four"),
        (lambda: apps.faces(0, 0), ValueError, "n: .* got 0"),
        (
            lambda: apps.faces(2, 0, beard=True),
            TypeError,
            "given: expected names from .* got .'beard'",
        ),
        (lambda: apps.tones(True, 0), ValueError, "n: .* got True"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_arguments_stay_as_they_are_and_results_carry_no_graph():
    R = torch.ones(2, 3, requires_grad=True)
    for result in (
        apps.pool_words(R, torch.zeros(2, 3).long(), 1),
        apps.for_and_against(R),
        apps.truth_auc(R, torch.eye(2, 3).bool()),
        apps.truth_mass(R, torch.eye(2, 3).bool()),
    ):
        assert not result.requires_grad
    assert torch.equal(R, torch.ones(2, 3)) and R.grad is None


# ---------------------------------------------------------------- worlds


def test_signatures_agree_as_often_as_asked_and_change_nothing_else():
    plain = data.reviews(600, seed=4)
    for agree in (0.0, 0.5, 0.9, 1.0):
        signed = apps.signed_reviews(600, seed=4, agree=agree)
        names = signed.words >= apps.SIGNED.index("anna")
        assert (names.sum(1) == 1).all() and torch.equal(
            names.int().argmax(1), (signed.words > 0).int().argmax(1)
        )
        fits = (
            ((signed.words == apps.SIGNED.index("anna")).any(1) == (signed.labels == 1))
            .float()
            .mean()
            .item()
        )
        assert fits == pytest.approx(agree, abs=5 * (agree * (1 - agree) / 600) ** 0.5 + 1e-9)
        rest = torch.where(names, 0, signed.words)[:, 1:]
        assert (
            torch.equal(rest, plain.words)
            and torch.equal(signed.labels, plain.labels)
            and torch.equal(signed.evidence[:, 1:], plain.evidence)
        )


def test_the_kinds_of_words_are_those_of_the_grammar():
    reviews = apps.signed_reviews(50, seed=1)
    kinds = apps.word_kinds(reviews)
    assert (
        torch.equal(kinds == -1, reviews.words == 0)
        and torch.equal(kinds == 1, reviews.evidence != 0)
        and torch.equal(kinds == 2, reviews.negations)
    )
    assert ((kinds == 0).sum(1) == 1).all()


def test_mixed_scenes_have_the_context_of_each_class():
    world = apps.mixed_scenes(800, seed=3, context=(0, 1, 0.5, 0))
    own = [(world.backgrounds == k)[world.labels == k].float().mean().item() for k in range(4)]
    # a quarter by chance
    assert own[1] == 1 and own[0] < 0.4 and 0.45 < own[2] < 0.8 and own[3] < 0.4
    same = data.scenes(800, seed=3, context=1)
    sea = world.labels == 1
    assert torch.equal(world.images[sea], same.images[sea]) and torch.equal(
        world.boxes[sea], same.boxes[sea]
    )


def test_faces_have_their_signs_and_one_sign_can_be_given():
    some = apps.faces(500, seed=1)
    old = some.labels == 1
    assert [round(some.signs[old, k].float().mean().item(), 1) for k in range(4)] == [
        0.8,
        0.1,
        0.8,
        0.5,
    ]
    assert [round(some.signs[~old, k].float().mean().item(), 1) for k in range(3)] == [
        0.2,
        0.9,
        0.2,
    ]
    on, off = apps.faces(60, 1, laugh=True), apps.faces(60, 1, laugh=False)
    changed = (on.images != off.images).any(1)
    assert (
        changed.any()
        and not (changed & ~on.regions[:, 1]).any()
        and torch.equal(on.labels, off.labels)
    )


@pytest.mark.parametrize("name", apps.WORLDS)
def test_a_seed_makes_a_world_and_its_truth_has_the_shape_of_its_places(name):
    one, same, other = (apps.WORLDS[name](30, seed) for seed in (1, 1, 2))
    assert (
        torch.equal(one.x, same.x)
        and not torch.equal(one.x, other.x)
        and one.x.dtype == torch.float32
    )
    assert one.truth.shape == apps.of_places(name, one.x).shape and one.truth.dtype == torch.bool
    assert set(apps.WORLDS[name](300, 3).labels.tolist()) == set(range(len(one.classes)))


def test_tones_are_where_the_truth_says():
    world = apps.tones(200, seed=0)
    assert (world.truth.sum((1, 2)) == 80).all()
    power = world.x[:, 0] ** 2
    assert ((power * world.truth[:, 0]).sum(1) / 80 > 0.2).float().mean() > 0.99
    begin = world.truth[:, 0].int().argmax(1)
    crossings = torch.stack(
        [
            (x[b : b + 80].sign().diff() != 0).float().view(-1)[:78].view(2, 39).sum(1)
            for x, b in zip(world.x[:, 0], begin)
        ]
    )
    rising = crossings[:, 1] - crossings[:, 0]
    assert rising[world.labels == 0].median() > 0 > rising[world.labels == 1].median()


def test_a_gait_has_its_bend_in_one_joint():
    world = apps.gait(100, seed=0)
    joints = world.truth.any(2)
    assert (joints.sum(1) == 1).all() and torch.equal(
        joints.int().argmax(1), torch.tensor([0, 0, 3, 3])[world.labels]
    )


def test_molecules_are_trees_whose_label_is_their_bond():
    world = apps.molecules(80, seed=0)
    kinds, bonds = world.x[..., :4].argmax(-1), world.x[..., 4:].bool()
    assert (
        torch.equal(bonds, bonds.transpose(1, 2))
        and (bonds.sum((1, 2)) == 2 * 9).all()
        and bonds.sum(2).max() <= 4
    )
    for kind, bond, label, truth in zip(kinds, bonds, world.labels, world.truth):
        pairs = [
            (i, j) for i, j in bond.nonzero().tolist() if {int(kind[i]), int(kind[j])} == {1, 2}
        ]
        assert bool(pairs) == bool(label) and set(truth.nonzero()[:, 0].tolist()) == {
            i for pair in pairs for i in pair
        }
        assert (kind == 1).any() and (kind == 2).any()
        far = np.where(bond.numpy(), 1.0, np.inf)
        assert np.isfinite(apps.atom_places(bond)).all() and (far[far == 1].size == 18)


def test_a_question_is_about_the_thing_that_is_its_truth():
    world = apps.questions(60, seed=0)
    for x, label, truth in zip(world.x, world.labels, world.truth):
        picture, words = apps.question_of(x)
        colour = picture[:, truth[:256].view(16, 16)].mean(1).numpy()
        seen = gallery.COLOURS[int(np.abs(gallery._PALETTE - colour).sum(1).argmin())]
        if label < 3:
            assert words[:4] == ["what", "colour", "has", "the"] and gallery.COLOURS[label] == seen
        else:
            assert words[:4] == ["which", "shape", "is", "the"] and words[4] == seen
        assert truth[256:].tolist() == [False, True, False, False, True]


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("name", apps.WORLDS)
def test_relevance_goes_through_the_networks_of_the_gallery(name):
    world, model = apps.WORLDS[name](12, seed=5), models.pretrained(name).double()
    x = world.x.double()
    R, account = lrp(model, x, rules=Epsilon(1e-6), return_layers=True)
    total = R.flatten(1).sum(1) + sum(line.absorbed for line in account)
    assert (
        torch.allclose(total, model(x).amax(1).detach())
        and apps.of_places(name, R).shape == world.truth.shape
    )
    assert torch.allclose(lrp(model, x[3:4], rules=Epsilon(1e-6)), R[3:4], atol=1e-8)
    for parameter in (p for n, p in model.named_parameters() if n.endswith("bias")):
        torch.nn.init.zeros_(parameter)
    f = model(x).amax(1).detach()
    # without biases all of it arrives
    assert torch.allclose(
        lrp(model, x, rules=Epsilon(0)).flatten(1).sum(1), f, rtol=1e-6, atol=1e-8
    )


def test_bonds_are_fixed_and_get_no_relevance():
    world, model = apps.molecules(6, seed=1), models.pretrained("molecules")
    assert (lrp(model, world.x)[..., 4:] == 0).all()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    moved = torch.cat([world.x[:, order, :4], world.x[:, order, 4:][:, :, order]], 2)
    assert torch.allclose(model(moved), model(world.x), atol=1e-4)  # the atoms have no order
    assert torch.allclose(lrp(model, moved)[..., :4], lrp(model, world.x)[:, order, :4], atol=1e-4)


def test_the_relevance_of_a_bag_of_words_is_its_table():
    with models.seeded(0):
        model = models.BagOfWords(len(apps.SIGNED))
    words = apps.signed_reviews(5, 0).words
    assert torch.allclose(
        lrp(model, words, 1, Zero()), model.words(words)[..., 1].detach(), atol=1e-6
    )


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_depth_is_all_that_differs(depth):
    model = models.scene_cnn(depth)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model) == depth and model(
        torch.zeros(2, 3, 32, 32)
    ).shape == (2, 4)


def test_answered_keeps_what_is_right_and_has_a_truth():
    world, model = apps.molecules(40, seed=5), models.pretrained("molecules")
    x, truth = apps.answered(model, world)
    assert truth.any(1).all() and len(x) <= 20 and (model(x).argmax(1) == 1).all()


# ---------------------------------------------------------------- the game


def one_game(ball, drift, paddle):
    start = apps.new_games(1, 0)
    return apps.Game(
        torch.tensor([ball]),
        torch.tensor([drift]),
        torch.tensor([paddle]),
        start.cloud,
        start.before,
    )


def test_the_rules_of_the_game():
    draw = torch.Generator().manual_seed(0)
    after, reward = apps.play(one_game([3, 5], 1, 4), torch.tensor([2]), draw)
    assert after.ball.tolist() == [[4, 6]] and after.paddle.item() == 5 and reward.item() == 0
    after, _ = apps.play(one_game([3, 11], 1, 1), torch.tensor([0]), draw)
    # the walls
    assert (
        after.ball.tolist() == [[4, 10]] and after.drift.item() == -1 and after.paddle.item() == 1
    )
    for paddle, expected in ((4, 1), (5, 1), (6, 1), (3, -1), (7, -1)):
        after, reward = apps.play(one_game([10, 5], 0, paddle), torch.tensor([1]), draw)
        assert reward.item() == expected and after.ball[0, 0].item() == 0


def test_boards_show_each_thing_at_its_size():
    games = apps.new_games(50, seed=3)
    assert (
        games.things.sum((2, 3)).tolist() == [[1, 3, 2]] * 50
        and games.before.sum((2, 3)).tolist() == [[1, 3, 2]] * 50
    )
    assert torch.equal(games.boards[:, 1], games.things.any(1).float()) and torch.equal(
        games.boards, apps.new_games(50, seed=3).boards
    )
    assert torch.equal(games.seen_things[:, :, 1], games.things)


def test_the_agent_gets_better_and_its_stages_are_those_of_the_card():
    stages = apps.stages()
    scores = [apps.caught(agent, 100) for agent in stages.values()]
    assert scores[0] < 0.4 and scores[-1] > 0.85 and list(stages) == sorted(stages)
    card = (models.WEIGHTS / "game.md").read_text()
    stated = [float(score) for score in card.split("balls caught: ")[1].split(" |")[0].split(", ")]
    assert [apps.caught(agent) for agent in (stages[0], stages[10000])] == pytest.approx(
        [stated[0], stated[-1]], abs=0.01
    )


def test_learning_repeats_itself_and_changes_the_agent():
    agents = [models.game_network() for _ in range(2)]
    before = torch.get_rng_state()
    for agent in agents:
        assert list(apps.learn(agent, 5)) == [0, 1, 2, 3, 4]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(agents[0].parameters(), agents[1].parameters()))
    assert not torch.equal(agents[0][0].weight, models.game_network()[0].weight)


# ---------------------------------------------------------------- pictures and examples


def test_boxes_and_questions():
    framed = plots.boxed(np.zeros((6, 6, 3), np.uint8), torch.tensor([1, 2, 4, 6]))
    assert (framed.any(2).sum(), framed[2, 1].tolist()) == (10, [224, 130, 20])
    assert not framed[3, 2].any()
    picture, words = apps.question_of(apps.questions(1, 0).x[0])
    assert picture.ndim == 3 and len(words) == 5
