"""What the chapter concludes from five networks and eight photographs, on others."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import data, models
from lib import evaluation as ev
from lib.lrp import lrp
from lib.sensitivity import gradient, guided_backprop, sensitivity
from lib.uncertainty import Ensemble

NETWORKS, PICTURES = range(60, 67), 10
REPLACEMENTS = ("uniform", "mean", "blur", "neighbours", 0.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def order_found(score):
    """For each network the mean rank correlation with the known order; score(world, share)."""
    right = -torch.tensor([SHARES]).expand(PICTURES, -1)
    found = []
    for seed in NETWORKS:
        world = ev.planted(PICTURES, seed)
        values = torch.stack([score(world, share) for share in SHARES], 1)
        ranks = ev.rank_correlation(values.double().round(decimals=4), right)
        found.append(ranks.nan_to_num(0).mean())
    return torch.stack(found)


def displaced(world, share, x=None, seed=3):
    x = world.images if x is None else x
    return ev.displaced(ev.planted_truth(world.network, x, 0), share, seed)


def test_the_known_order_is_found():
    """By flipping with each replacement, mass, rank and infidelity; less by pointing; not at all by
    max-sensitivity and complexity, nor by chance.
    """
    for fill in REPLACEMENTS:
        areas = order_found(
            lambda world, share, fill=fill: (
                ev.pixel_flipping(
                    world.network, world.images, displaced(world, share), 0, replace=fill, steps=20
                ).aopc
            )
        )
        assert areas.min() > 0.9, fill
    for score in (ev.relevance_mass, ev.relevance_rank):
        of = lambda world, share, score=score: score(displaced(world, share), world.evidence)
        assert order_found(of).min() > 0.95
    true = lambda world, share: (
        -ev.infidelity(world.network, world.images, displaced(world, share), 0)
    )
    assert order_found(true).min() > 0.95
    pointing = order_found(
        lambda world, share: ev.pointing_game(displaced(world, share), world.evidence)
    )
    assert 0.5 < pointing.min() and pointing.max() < 0.9
    brief = order_found(lambda world, share: -ev.complexity(displaced(world, share)))
    steady = order_found(
        lambda world, share: (
            -ev.max_sensitivity(
                lambda model, x, target: displaced(world, share, x), world.network, world.images, 0
            )
        )
    )
    assert brief.abs().max() == 0 and steady.abs().max() < 0.1
    dice = torch.Generator().manual_seed(8)
    assert order_found(lambda *_: torch.rand(PICTURES, generator=dice)).mean().abs() < 0.2


def test_black_prefers_the_gradient():
    """In each network its area is above the truth's with black, at most 0.7 of it otherwise."""
    for seed in NETWORKS:
        world = ev.planted(PICTURES, seed)
        x, network = world.images, world.network
        for fill in REPLACEMENTS:
            truth, other = (
                ev.pixel_flipping(network, x, R, 0, replace=fill, steps=20).aopc.mean()
                for R in (ev.planted_truth(network, x, 0), gradient(network, x, 0))
            )
            if fill == 0.0:
                assert other > 1.05 * truth
            else:
                assert other < 0.7 * truth


def surely(differences):
    """Whether the 95 % interval of the mean lies above 0 (Student's t for eight)."""
    return differences.mean() > 2.36 * differences.std() / len(differences) ** 0.5


def test_on_photographs_lrp_is_not_told_from_edges():
    """Both beat chance, and sensitivity does not, on both networks."""
    photos = data.explained_photos()
    falls = photos.curves[..., 0, :]
    areas = dict(zip(photos.methods, (falls[..., :1] - falls).mean(-1).unbind(1)))
    chance, edges = areas["random numbers"], areas["edges of the picture"]
    for network in (0, 1):
        ahead = {name: surely((area - chance)[network]) for name, area in areas.items()}
        assert ahead["LRP, z+"] and ahead["edges of the picture"]
        assert not ahead["sensitivity"]
        apart = (areas["LRP, z+"] - edges)[network]
        assert not surely(apart) and not surely(-apart)


@pytest.mark.slow
def test_the_photographs_mirrored():
    """The same claim on Lite2, against the mean of five draws of random numbers. (On Lite0 LRP is
    then not sure to beat them.)
    """
    from explain_photos import METHODS, PHOTOS, one_by_one, prepared

    model = models.pretrained("efficientnet_lite2").requires_grad_(False)
    x = prepared(model, PHOTOS).flip(3)
    target = model(x).argmax(1)

    def area(R):
        return ev.pixel_flipping(model, x, R.expand_as(x), target, 16, "blur", steps=14).aopc

    lrp, squares, edges = (
        area(one_by_one(METHODS[name], model, x, target))
        for name in ("LRP, z+", "sensitivity", "edges of the picture")
    )
    draws = [torch.Generator().manual_seed(seed) for seed in range(20, 25)]
    chance = sum(area(torch.rand(x.shape, generator=draw)) for draw in draws) / 5
    assert surely(lrp - chance) and surely(edges - chance) and not surely(squares - chance)
    assert not surely(lrp - edges)


@pytest.mark.slow
def test_a_published_network_forgets():
    """On other photographs under other shuffles: gradients keep nothing; z+ keeps some, of which
    more than half is common to different photographs; its trained maps follow the edges more.
    """
    from explain_photos import edges

    model = models.pretrained("efficientnet_lite0").requires_grad_(False)
    names = ["astronaut", "rocket", "china", "flower", "grace_hopper"]
    x = torch.cat([model.prepare(photo.image) for photo in data.photos(names).values()])
    target = model(x).argmax(1)

    def coarse(R):
        return F.avg_pool2d(R.sum(1, keepdim=True), 4).flatten(1).abs()

    def alike(a, b):
        return ev.rank_correlation(a, b).mean().item()

    steep = coarse(edges(model, x, target))
    for method, keeps in ((sensitivity, False), (guided_backprop, False), (lrp, True)):
        first, found = coarse(method(model, x, target)), []
        for seed in range(40, 45):
            R = coarse(method(ev.shuffled(model, seed), x, target))
            found.append([alike(first, R), alike(first, R.roll(1, 0)), alike(R, steep)])
        same, another, follows = torch.tensor(found).mean(0).tolist()
        assert same < 0.25 or keeps
        if keeps:
            assert 0.25 < same < 0.6 and another > 0.5 * same
            assert alike(first, steep) > follows + 0.15


def fresh(seed):
    torch.manual_seed(seed)
    layers = nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10)
    return nn.Sequential(nn.Flatten(), *layers)


@pytest.mark.parametrize("reader", ["digits_cnn", "digits_mlp"])
def test_a_mask_tells_the_class(reader):
    """Other new networks, from other starts; another network explained, too."""
    digits, model = data.digits(), models.pretrained(reader)
    typical = digits.x_train.mean(0)

    def learned(x, x_new):
        five = Ensemble(fresh, 5, seed=20)
        five.fit(x, digits.y_train, progress=False)
        return (five(x_new).argmax(-1) == digits.y_test).double().mean().item()

    def drawn(model, x):
        return torch.rand(x.shape, generator=torch.Generator().manual_seed(30))

    retrained, by_mask, flipped = {}, {}, {}
    for name, explain in {"lrp": lrp, "gradient": sensitivity, "random": drawn}.items():
        maps = explain(model, digits.x_train), explain(model, digits.x_test)
        flipped[name] = ev.pixel_flipping(model, digits.x_test[:100], maps[1][:100]).aopc.mean()
        gone = [ev.most_relevant(R, 0.5, seed=40)[:, None] for R in maps]
        by_mask[name] = learned(*(m.float() for m in gone))
        pictures = digits.x_train, digits.x_test
        retrained[name] = learned(*(torch.where(m, typical, x) for m, x in zip(gone, pictures)))
    assert abs(retrained["lrp"] - retrained["random"]) < 0.06  # a few points
    assert flipped["lrp"] > flipped["random"] + 1  # flipping says another thing
    assert min(by_mask["lrp"], by_mask["gradient"]) > 0.8 and by_mask["random"] < 0.2
