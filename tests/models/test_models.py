"""Networks, their committed weights and cards, the training loop, and the look of the pictures."""

import copy
import dataclasses
import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import train
from torch import nn

from lib import applications, data, models, plots, training
from lib.data import downloads
from lib.models import ARCHITECTURES, WEIGHTS, cnn, mlp, networks, pretrained, seeded, vgg16

NAMES = pytest.mark.parametrize("name", ARCHITECTURES)
TRAINED = pytest.mark.parametrize("name", train.NETWORKS)


# Networks.


@pytest.mark.parametrize(
    "make", [mlp, cnn, lambda **o: cnn(3, 32, 4, 8, **o)], ids=["mlp", "cnn", "scenes"]
)
def test_a_seed_decides_the_weights_and_leaves_the_random_state_alone(make):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = make(seed=1), make(seed=1), make(seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters()))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


@pytest.mark.parametrize(
    ("model", "shape", "classes"),
    [
        (mlp(), (1, 8, 8), 10),
        (mlp(12, (5,), 3), (12,), 3),
        (mlp(4, (), 2), (4,), 2),
        (cnn(), (1, 8, 8), 10),
        (cnn(3, 32, 4), (3, 32, 32), 4),
        (cnn(1, 28), (1, 28, 28), 10),
    ],
)
def test_a_network_maps_images_to_logits(model, shape, classes):
    assert model(torch.zeros(2, *shape)).shape == (2, classes)


def test_networks_without_bias_have_none():
    assert not [
        name
        for model in (mlp(bias=False), cnn(bias=False))
        for name, _ in model.named_parameters()
        if "bias" in name
    ]


def test_the_large_network_has_the_shape_of_vgg16():
    with torch.device("meta"):
        model = vgg16()
        # Simonyan and Zisserman, configuration D
        assert sum(p.numel() for p in model.parameters()) == 138_357_544
        assert model(torch.empty(1, 3, 224, 224)).shape == (1, 1000)


def test_seeded_brings_the_random_state_back_after_an_error_too():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(3):
        torch.rand(5)
        raise KeyError
    assert torch.equal(before, torch.get_rng_state())


# Weights and cards.


def card(name):
    return dict(re.findall(r"^\| (\w+) \| (.+) \|$", (WEIGHTS / f"{name}.md").read_text(), re.M))


def test_every_network_has_weights_and_a_card_and_nothing_else_lies_there():
    assert {path.name for path in WEIGHTS.iterdir()} == {
        f"{name}.{kind}" for name in train.NETWORKS for kind in ("md", "safetensors")
    }
    assert set(ARCHITECTURES) <= set(train.NETWORKS)
    assert all(
        path.stat().st_size < (3e6 if path.stem.endswith("_mnist") else 5e5)
        for path in WEIGHTS.iterdir()
    )


@TRAINED
def test_a_card_says_network_data_command_scores_licence_and_limits(name):
    fields = card(name)
    assert {"network", "data", "command", "scores", "licence", "limits"} <= fields.keys()
    assert f"python tools/train.py {name}`" in fields["command"] and "seed" in fields["command"]
    assert ("SA" in fields["licence"]) == ("MNIST" in fields["data"])


@TRAINED
def test_a_card_is_what_the_tool_writes_with_its_scores(name):
    def without_version(text):
        return re.sub(r"torch \d[\d.]*", "torch", text)

    stored = (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    assert without_version(train.card(name, card(name)["scores"])) == without_version(stored)


def test_the_calls_on_a_card_are_those_that_make_the_data():
    source = train.NETWORKS["faces_noisy"].source
    assert re.findall(r"`(.*?)`", source.text) == [
        "lib.applications.faces(4000, seed=1)",
        "lib.applications.faces(1000, seed=2)",
    ]
    learned, tested = applications.faces(4000, seed=1), applications.faces(1000, seed=2)
    split = source.split()
    assert torch.equal(split.x_train, learned.images) and torch.equal(split.x_test, tested.images)
    wrong = (split.y_train != learned.labels).float().mean()
    assert 0.25 < wrong < 0.35 and torch.equal(split.y_test, tested.labels)


def test_training_writes_weights_and_card_where_it_is_told(tmp_path, monkeypatch):
    brief = dataclasses.replace(
        train.NETWORKS["digits_mlp"], train=partial(train.fit, epochs=1, rate=3e-3)
    )
    monkeypatch.setitem(train.NETWORKS, "digits_mlp", brief)
    before = {path: path.read_bytes() for path in WEIGHTS.iterdir()}
    train.make("digits_mlp", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"digits_mlp.md", "digits_mlp.safetensors"}
    weights = (tmp_path / "digits_mlp.safetensors").read_bytes()
    train.make("digits_mlp", tmp_path, card_alone=True)
    assert (tmp_path / "digits_mlp.safetensors").read_bytes() == weights
    assert before == {path: path.read_bytes() for path in WEIGHTS.iterdir()}


@NAMES
def test_a_network_reaches_the_accuracy_of_its_card(name):
    if name.startswith("digits"):
        d = data.digits()
        # another processor may tip one image in 360
        test, tolerance = (
            (d.x_test, d.y_test),
            1.5 / 360,
        )
    elif name.startswith("reviews"):
        r = data.reviews(1000, seed=2)
        test, tolerance = (r.words, r.labels), 3.5 / 1000
    elif name == "mnist_small":
        if downloads.given("mnist") is None:
            pytest.skip("BOOK_DATA does not name a folder that holds mnist")
        d = data.mnist()
        test, tolerance = (d.x_test, d.y_test), 3.5 / 10000
    elif name in ("scenes_hans", "scenes_honest"):
        s = data.scenes(2000, seed=2, context=0.5, tagged=(0.9, 0, 0, 0))
        test, tolerance = (s.images, s.labels), 7.0 / 2000
    elif name == "scenes_words":
        s = data.scenes(1000, seed=2, context=0.25)
        test, tolerance = (s.images, torch.stack([s.labels, s.backgrounds], 1)), 7.0 / 2000
    elif name in applications.WORLDS:
        w = applications.WORLDS[name](1000, seed=2)
        test, tolerance = (w.x, w.labels), 3.5 / 1000
    elif name in ("faces_noisy", "scenes_context"):
        s = (
            applications.faces(1000, seed=2)
            if name == "faces_noisy"
            else applications.mixed_scenes(1000, seed=2)
        )
        test, tolerance = (s.images, s.labels), 3.5 / 1000
    else:
        balanced = ("scenes_gap", "scenes_shallow", "scenes_early", "scenes_deep")
        s = data.scenes(1000, seed=2, context=0 if name in balanced else 0.25)
        test, tolerance = (s.images, s.labels), 3.5 / 1000
    stated = float(re.search(r"test ([\d.]+)", card(name)["scores"])[1])
    assert training.accuracy(pretrained(name), *test) == pytest.approx(stated, abs=tolerance)


@NAMES
def test_pretrained_networks_are_in_evaluation_mode_and_separate(name):
    one, two = pretrained(name), pretrained(name)
    assert not one.training
    with torch.no_grad():
        next(one.parameters()).zero_()
    assert next(two.parameters()).abs().max() > 0 and next(two.parameters()).dtype == torch.float32


def test_an_unknown_network_is_refused_with_the_names_that_there_are():
    with pytest.raises(ValueError, match="name: expected one of .*digits_cnn.* got 'resnet'"):
        pretrained("resnet")


# Training.


def small():
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    return mlp(4, (8,), 2), x, (x[:, 0] > 0).long()


def test_training_learns_and_reports_every_epoch():
    model, x, y = small()
    history = training.fit(model, x, y, epochs=30, learning_rate=0.03, batch=16, progress=False)
    assert (
        len(history.losses) == 30
        and history.steps == 30 * 4
        and history.losses[-1] < 0.2 < history.losses[0]
    )
    assert training.accuracy(model, x, y) > 0.95 and not model.training


def test_a_seed_repeats_a_training_whatever_the_random_state():
    model, x, y = small()
    model.insert(2, nn.Dropout(0.3))
    copies = [copy.deepcopy(model) for _ in range(3)]
    torch.manual_seed(1)
    first = training.fit(copies[0], x, y, epochs=3, seed=4, progress=False)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = training.fit(copies[1], x, y, epochs=3, seed=4, progress=False)
    assert torch.equal(state, torch.get_rng_state())
    assert first == second and all(
        torch.equal(a, b) for a, b in zip(copies[0].parameters(), copies[1].parameters())
    )
    assert training.fit(copies[2], x, y, epochs=3, seed=5, progress=False) != first


def test_training_takes_another_loss_and_weight_decay():
    model, x, y = small()
    training.fit(
        model,
        x,
        y,
        epochs=1,
        loss=lambda z, y: nn.functional.multi_margin_loss(z, y),
        weight_decay=0.1,
        progress=False,
    )


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (torch.zeros(3, 4), torch.zeros(2).long(), {}, "x, y: .* got 3 and 2"),
        (torch.zeros(0, 4), torch.zeros(0).long(), {}, "x, y: .* got 0 and 0"),
        (
            torch.full((3, 4), float("nan")),
            torch.zeros(3).long(),
            {},
            "loss: expected a finite value, got nan in epoch 0",
        ),
        (
            torch.zeros(3, 4),
            torch.zeros(3).long(),
            {"epochs": 0},
            "epochs, batch: expected at least 1, got 0 and 64",
        ),
        (
            torch.zeros(3, 4),
            torch.zeros(3).long(),
            {"batch": 0},
            "epochs, batch: expected at least 1, got 20 and 0",
        ),
    ],
)
def test_training_refuses_what_it_cannot_learn_from(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        training.fit(mlp(4, (8,), 2), x, y, progress=False, **options)


def test_accuracy_is_the_share_of_highest_scores():
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]])
    assert training.accuracy(nn.Identity(), scores, torch.tensor([0, 1, 1, 1])) == 0.75


# Pictures.


def rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def test_a_heatmap_has_the_stated_colours_at_its_ends_and_white_at_zero():
    picture = plots.heatmap(np.array([[1.0, -1.0, 0.0]]))
    assert picture.dtype == np.uint8 and picture.tolist() == [
        [rgb(plots.RED), rgb(plots.BLUE), [255, 255, 255]]
    ]


def test_a_heatmap_equals_the_colour_map_of_its_bar():
    values = np.linspace(-1, 1, 201)[None]
    expected = plots.RELEVANCE((values + 1) / 2)[..., :3] * 255
    # the bar has 256 colours, in steps of up to 2
    assert np.abs(plots.heatmap(values) - expected).max() <= 2.5


def test_a_heatmap_is_symmetric_about_zero():
    values = torch.linspace(0, 3, 20)[None]
    ink = lambda r, colour: (
        (255 - plots.heatmap(r, 3.0).astype(float)) / (255 - np.array(rgb(colour)))
    )
    assert np.abs(ink(values, plots.RED) - ink(-values, plots.BLUE)).max() <= 0.6 / (
        255 - max(rgb(plots.RED)[0], rgb(plots.BLUE)[2])
    )


def test_a_heatmap_sums_channels_takes_tensors_and_clips_at_its_scale():
    r = torch.tensor([[[1.0, -2.0]], [[1.0, 0.0]]], requires_grad=True)
    assert np.array_equal(plots.heatmap(r), plots.heatmap(np.array([[2.0, -2.0]])))
    assert np.array_equal(plots.heatmap(r, 0.5), plots.heatmap(np.array([[9.0, -9.0]])))
    assert np.array_equal(plots.heatmap(r, 4.0), plots.heatmap(np.array([[1.0, -1.0, 2.0]]))[:, :2])


def test_a_heatmap_of_nothing_is_white():
    assert (plots.heatmap(torch.zeros(4, 5)) == 255).all() and plots.heatmap(
        torch.zeros(4, 5)
    ).shape == (4, 5, 3)


def test_one_scale_for_maps_that_are_compared():
    assert (
        plots.scale_of(torch.tensor([1.0, -3.0]), np.array([2.0])) == 3
        and plots.scale_of(np.zeros(3)) == 1
    )


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (3, 5, 7)], ids=str)
def test_an_image_has_three_colours(shape):
    assert (
        plots.image(torch.rand(shape)).shape == (5, 7, 3)
        and plots.image(torch.rand(shape)).dtype == np.uint8
    )


def test_one_channel_is_ink_on_paper_and_three_are_colours():
    assert plots.image(np.array([[0.0, 1.0]])).tolist() == [[[255] * 3, [0] * 3]]
    assert plots.image(np.array([[[1.0]], [[0.0]], [[2.0]]])).tolist() == [[[255, 0, 255]]]


@pytest.mark.parametrize(
    ("shape", "method"),
    [
        ((2, 3, 4, 4), plots.heatmap),
        ((7,), plots.heatmap),
        ((2, 4, 4), plots.image),
        ((2, 3, 4, 4), plots.image),
    ],
)
def test_what_is_no_picture_is_refused(shape, method):
    with pytest.raises(ValueError, match=r"expected .*\(H, W\)"):
        method(np.zeros(shape))


def test_figures_have_the_pictures_and_titles_that_were_given():
    figure = plots.strip([plots.image(np.zeros((4, 4)))] * 3, ["a", "b", "c"], rows=2)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", ""] and [
        len(ax.images) for ax in figure.axes
    ] == [1, 1, 1, 0]
    assert plots.axes("a", "b").get_xlabel() == "a"
    plt.close("all")


def test_published_weights_are_loaded_where_they_are_and_fetched_only_on_request(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(networks, "vgg16", lambda: mlp(4, (3,), 2, seed=0))

    def never(*arguments, **options):
        raise AssertionError("a download that nobody asked for")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", never)
    with pytest.raises(
        OSError, match=r"not at .*vgg16-397923af\.pth; call published_vgg16\(download=True\)"
    ):
        models.published_vgg16()
    other = mlp(4, (3,), 2, seed=1)

    def fetch(url, folder, map_location, check_hash):
        assert url == networks.VGG16 and check_hash
        (tmp_path / "checkpoints").mkdir()
        torch.save(
            {f"features.{k}": value for k, value in enumerate(other.state_dict().values())},
            tmp_path / "checkpoints" / "vgg16-397923af.pth",
        )

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    x = torch.rand(3, 4)
    assert torch.equal(models.published_vgg16(download=True)(x), other(x))
    assert (
        torch.equal(models.published_vgg16()(x), other(x)) and not models.published_vgg16().training
    )
