"""What the chapter concludes from one world, on pictures that it does not use."""

import pytest
import torch
from sklearn.cluster import SpectralClustering
from torch import nn

from lib import data, models
from lib.lrp import lrp


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 22])
def test_spray_finds_the_tag(seed):
    """The group with the most similar maps: in the network that reads the tag it is larger than a
    fifth, alike by more than 0.8, and of pictures with the tag; in the other none is like that.
    """
    world = data.scenes(800, seed, context=0.5, tagged=(0.9, 0, 0, 0))
    tagged = world.tag_masks.flatten(1).any(1).double()

    def most_alike(name):
        R = lrp(models.pretrained(name), world.images).sum(1, keepdim=True)
        M = nn.functional.normalize(nn.functional.avg_pool2d(R, 4).flatten(1))
        clustering = SpectralClustering(
            8, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=0
        )
        group = torch.as_tensor(clustering.fit_predict(M.numpy()))
        found = []
        for k in range(8):
            own = M[group == k]
            pairs = len(own) * (len(own) - 1)
            alike = (own.sum(0).square().sum() - len(own)) / pairs
            found.append((alike.item(), len(own), tagged[group == k].mean().item()))
        return max(found)

    alike, size, letters = most_alike("scenes_hans")
    assert alike > 0.8 and size > 160 and letters > 0.85
    alike, _, letters = most_alike("scenes_honest")
    assert alike < 0.8 and letters < 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 22])
def test_a_group_is_a_question(seed):
    """Network A loses a fifth of the horses or more without the corner, B next to none; neither
    loses aeroplanes without the upper edge.
    """
    world = data.scenes(800, seed, context=0.5, tagged=(0.9, 0, 0, 0))
    edge = torch.zeros(32, 32, dtype=torch.bool)
    edge[:4] = True

    def right(name, kind, where):
        mean = world.images.mean((2, 3), keepdim=True)
        scores = models.pretrained(name)(torch.where(where, mean, world.images))
        return (scores.argmax(1) == kind)[world.labels == kind].double().mean()

    corner = world.tag_masks.any(0)
    lost = {
        (name, kind): right(name, kind, edge & False) - right(name, kind, where)
        for name in ("scenes_hans", "scenes_honest")
        for kind, where in ((0, corner), (2, edge))
    }
    assert lost["scenes_hans", 0] > 0.2 and lost["scenes_honest", 0] < 0.05
    assert lost["scenes_hans", 2] < 0.02 and lost["scenes_honest", 2] < 0.02
