"""What the chapter concludes from five splits, on five that it does not use."""

import pytest
import torch
import torch.nn.functional as F

from lib import data, models, training
from lib import uncertainty as unc
from lib.uncertainty import noisy

pytestmark = pytest.mark.slow
SEEDS = range(50, 55)
SETTINGS = {"epochs": 300, "learning_rate": 0.02, "progress": False}


def split_of(seed):
    d = data.digits()
    x, y = torch.cat([d.x_train, d.x_test]), torch.cat([d.y_train, d.y_test])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return [(x[part], y[part]) for part in order.split([150, 400, 1247])]


def ensemble(seed, bootstrap):
    made = unc.Ensemble(lambda k: models.mlp(64, (64, 64), 10, seed=100 * seed + k), members=10)
    made.fit(*split_of(seed)[0], bootstrap=bootstrap, **SETTINGS)
    return made


def methods(seed):
    starts, bags = ensemble(seed, False), ensemble(seed, True)
    one = starts.member(0)
    dropout = models.mlp(64, (64, 64), 10, dropout=0.3, seed=100 * seed)
    training.fit(dropout, *split_of(seed)[0], seed=seed, **SETTINGS)
    return {
        "single network": lambda z: one(z).softmax(1)[None].detach(),
        "ensemble": starts.probabilities,
        "ensemble, bootstrap": bags.probabilities,
        "MC dropout": lambda z: unc.mc_dropout(dropout, z, 50),
    }


@pytest.fixture(scope="module")
def made():
    return {seed: methods(seed) for seed in SEEDS}


def apart(differences):
    """The mean of paired differences in units of its standard error."""
    d = torch.tensor(differences, dtype=torch.float64)
    return float(d.mean() / (d.std() / len(d) ** 0.5))


def auroc(method, seed, strange):
    images = split_of(seed)[2][0]
    known, odd = unc.decompose(method(images)), unc.decompose(method(strange(images)))
    return unc.auroc(odd.total, known.total), unc.auroc(odd.epistemic, known.epistemic)


def test_ensembles_notice_more(made):
    """Glyphs and negatives: both ensembles above the single network's entropy."""
    for strange in (lambda images: noisy.glyphs(400), lambda images: 1 - images):
        single = [auroc(made[s]["single network"], s, strange)[0] for s in SEEDS]
        for name in ("ensemble", "ensemble, bootstrap"):
            found = [auroc(made[s][name], s, strange)[1] for s in SEEDS]
            assert apart([a - b for a, b in zip(found, single)]) > 2, name


def test_disagreement_detects_negatives(made):
    """Mutual information above entropy on negatives, for ensembles and dropout."""
    for name in ("ensemble", "ensemble, bootstrap", "MC dropout"):
        pairs = [auroc(made[s][name], s, lambda images: 1 - images) for s in SEEDS]
        assert apart([information - total for total, information in pairs]) > 2, name


def test_rotated_digits_rank_nobody(made):
    """The AUROC of one method differs more between splits than between methods."""
    turned = lambda images: images.rot90(1, (2, 3))
    found = torch.tensor(
        [[auroc(made[s][name], s, turned)[0] for s in SEEDS] for name in made[SEEDS[0]]]
    )
    assert found.std(1).mean() > found.mean(1).std()


def test_refusing_helps_all(made):
    """The surest 80 % have fewer than half of the errors that all have."""
    for name in made[SEEDS[0]]:
        shares = []
        for seed in SEEDS:
            images, labels = split_of(seed)[2]
            P = made[seed][name](images)
            wrong = (P.mean(0).argmax(1) != labels).double()
            curve = unc.rejection_curve(unc.decompose(P).total, wrong)
            shares.append(float(curve.error[997] / curve.error[-1]))
        assert sum(shares) / len(shares) < 0.5, name


def calibrated(made, seed, name):
    """(ECE, NLL) without and with a temperature, and the temperature."""
    _, (held, labels), (images, truth) = split_of(seed)
    logits = lambda z: made[seed][name](z).mean(0).clamp(min=1e-30).log()
    T = float(unc.fit_temperature(logits(held), labels))
    scores = [
        (unc.calibration_error(p, truth, 15), F.nll_loss(p.clamp(min=1e-30).log(), truth))
        for p in (logits(images).softmax(1), (logits(images) / T).softmax(1))
    ]
    return *scores, T


def test_temperature_calibrates(made):
    """T is above 1; with it the network's ECE and NLL are smaller, and the ensemble's NLL."""
    for name, places in (("single network", (0, 1)), ("ensemble", (1,))):
        rows = [calibrated(made, seed, name) for seed in SEEDS]
        assert all(T > 1 for *_, T in rows)
        for place in places:
            assert apart([float(a[place] - b[place]) for a, b, _ in rows]) > 2, (name, place)


def test_an_ensemble_calibrates(made):
    """A smaller NLL without a temperature than the single network without one."""
    pairs = [[calibrated(made, s, n)[0] for n in ("single network", "ensemble")] for s in SEEDS]
    assert apart([float(one[1] - many[1]) for one, many in pairs]) > 2
