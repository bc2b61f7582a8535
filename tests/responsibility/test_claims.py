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


@pytest.mark.slow
def test_a_small_group_is_learned_last():
    """Other people, other digits and another start than the chapter's. (Per cent of all others, of
    the small group, and of the same digits when nobody is taken out.)
    """
    digits = data.digits()
    x = torch.cat([digits.x_train, digits.x_test])
    truth = torch.cat([digits.y_train, digits.y_test])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(5))
    inside, outside = order[:900], order[900:]

    def taught(people, noise, clip, rate):
        start = models.mlp(64, (32,), 10, seed=2)
        return resp.dp_fit(
            start, x[people], truth[people], STOPS[-1], 90, clip, noise, rate, 2, STOPS
        )

    def measured(*way):  # (stops, 3), a mean over digits
        whole, rows = taught(inside, *way), []
        for digit in (0, 2, 4, 6, 8):
            theirs = inside[truth[inside] == digit]
            people = torch.cat([inside[truth[inside] != digit], theirs[: round(0.2 * len(theirs))]])
            them, others = (outside[(truth[outside] == digit) == is_it] for is_it in (True, False))
            few = taught(people, *way)
            rows.append(
                [
                    [100 * training.accuracy(net, x[who], truth[who]) for net in nets]
                    for nets, who in ((few, others), (few, them), (whole, them))
                ]
            )
        return torch.tensor(rows).mean(0).T

    plain, clipped, noisy = measured(0, 1e6, 0.5), measured(0, 0.5, 2.0), measured(2, 0.5, 2.0)
    for way in (clipped, noisy):
        assert plain[2, 0] - way[2, 0] < 6 and way[2, 1] < plain[2, 1] / 2 + 1, "after 200 steps"
        assert abs(plain[3, 2] - way[3, 2]) < 6, "nothing of this where nobody is taken out"
        assert way[0, 1] < 5 and resp.epsilon(2, 0.1, 50, 1e-4) < 2 < resp.epsilon(
            2, 0.1, 100, 1e-4
        )
    assert all(way[3, 1] - way[0, 1] > 40 > 20 > way[3, 0] - way[0, 0] for way in (plain, noisy))

    def at_accuracy(way, others):  # of the small group, between two stops
        late = next(k for k in range(4) if way[k, 0] >= others)
        a, b = way[late - 1], way[late]
        return (a[1] + (b[1] - a[1]) * (others - a[0]) / (b[0] - a[0])).item()

    assert at_accuracy(clipped, noisy[2, 0]) + 10 < at_accuracy(plain, noisy[2, 0])
    assert abs(noisy[2, 1] - at_accuracy(plain, noisy[2, 0])) < 10
