"""What the chapter concludes from some networks and photographs, on others."""

import pytest
import torch
from torch import nn

from lib import data, models
from lib.lrp import Zero, ZPlus, lrp


@pytest.mark.parametrize("seed", range(100, 105))
def test_z_plus_forgets(seed):
    """In a network of random weights, 50 wide, the product of eight z+ matrices is within a
    hundredth of rank one; that of the gradient's is not within a tenth.
    """
    g = torch.Generator().manual_seed(seed)
    a, z_plus, gradient = torch.rand(50, generator=g), torch.eye(50), torch.eye(50)
    for _ in range(8):
        w = torch.randn(50, 50, generator=g) * 0.2
        z, above = a[:, None] * w.clamp(min=0), (a @ w).clamp(min=0)
        z_plus, gradient, a = z_plus @ (z / z.sum(0)), gradient @ (w * (above > 0)), above
    ratio = [torch.linalg.svdvals(m[:, a > 0])[:2] for m in (z_plus, gradient)]
    assert ratio[0][1] < 0.01 * ratio[0][0]
    assert ratio[1][1] > 0.1 * ratio[1][0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:relevance")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_z_plus_draws_one_picture(name):
    """On photographs and classes that the page does not use, the maps of z+ for the class that is
    named and for an unrelated one are the same picture, those of LRP-0 and the class are not.
    """
    model = models.pretrained(name)
    photos = data.photos(["rocket", "flower", "china"]).values()
    x = torch.cat([model.prepare(photo.image) for photo in photos])
    own, other = model(x).argmax(1), torch.tensor([340, 1, 207])  # zebra, goldfish, retriever
    likeness = {}
    for rules in (ZPlus(), Zero(), "epsilon_plus"):
        maps = [lrp(model, x, c, rules).flatten(1) for c in (own, other)]
        likeness[str(rules)] = nn.functional.cosine_similarity(*maps).abs().mean()
    assert likeness[str(ZPlus())] > 0.95
    assert likeness[str(Zero())] < 0.5
    assert likeness["epsilon_plus"] < likeness[str(ZPlus())]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:relevance")
def test_a_channel_has_its_own_place():
    """Two strong channels of a layer in the middle draw maps less alike than those of two classes
    by the same rules, and all channels add up to the whole map.
    """
    model = models.pretrained("efficientnet_lite0")
    x = model.prepare(data.photos(["rocket"])["rocket"].image)
    layer, rules = "blocks.8.project.convolution", "epsilon_gamma_box"
    whole, account = lrp(model, x, rules=rules, return_layers=True)
    (R,) = (line.relevance for line in account if line.name == layer)
    strongest = R.sum((0, 2, 3)).argsort(descending=True)[:3].tolist()
    maps = [lrp(model, x, rules=rules, conditions={layer: c}).flatten() for c in strongest]
    rest = [c for c in range(112) if c not in strongest]
    rest_map = lrp(model, x, rules=rules, conditions={layer: rest}).flatten()
    difference = sum(maps) + rest_map - whole.flatten()
    assert difference.abs().max() < 1e-3 * whole.abs().max()
    assert max(torch.cosine_similarity(maps[0], m, 0) for m in maps[1:]) < 0.9
