"""What the chapter concludes from five networks and eight photographs, on others."""

import torch

from lib import evaluation as ev
from lib.sensitivity import gradient

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
