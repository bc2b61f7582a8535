"""What the chapter concludes from two starts, on three that it does not use."""

import pytest
import torch
import torch.nn.functional as F

from lib import data, models, training
from lib import responsibility as resp

SEEDS, STOPS = range(10, 13), (50, 100, 200, 400)


@pytest.mark.slow
def test_clipping_at_equal_accuracy():
    """Clipped training is attacked less than plain training of equal length, and less than plain
    training stopped at about its accuracy; plain training that goes on is attacked more.
    """
    digits = data.digits()
    x = torch.cat([digits.x_train, digits.x_test])
    truth = torch.cat([digits.y_train, digits.y_test])
    draw = torch.Generator().manual_seed(1)
    order = torch.randperm(len(x), generator=draw)
    unusual = torch.rand(len(x), generator=draw) < 0.1
    other = (truth + torch.randint(1, 10, truth.shape, generator=draw)) % 10
    y = torch.where(unusual, other, truth)
    inside, outside = order[:900], order[900:]
    few = inside[unusual[inside]], outside[unusual[outside]]

    def measured(clip, rate):  # (stops, (accuracy, training loss, AUC)), a mean over seeds
        rows = []
        for seed in SEEDS:
            start = models.mlp(64, (32,), 10, seed=seed)
            made = resp.dp_fit(
                start, x[inside], y[inside], STOPS[-1], 90, clip, 0, rate, seed, STOPS
            )
            for net in made:
                found = resp.membership_inference(net, x[few[0]], y[few[0]], x[few[1]], y[few[1]])
                right = training.accuracy(net, x[outside], truth[outside])
                rows.append((right, float(F.cross_entropy(net(x[inside]), y[inside])), found.auc))
        return torch.tensor(rows).view(len(SEEDS), len(STOPS), 3).mean(0)

    clipped, plain = measured(0.5, 2.0), measured(1e6, 0.5)
    assert abs(clipped[3, 0] - plain[2, 0]) < 0.02, "compared at another accuracy"
    assert clipped[3, 2] + 0.03 < plain[2, 2] < plain[3, 2] - 0.03
    assert plain[3, 1] < 0.7 * clipped[3, 1]
