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


# ---------------------------------------------------------------- shift, in steps

SHIFTS = {"rotation": (unc.rotated, 60), "blur": (unc.blurred, 2.0), "noise": (unc.noised, 0.5)}


def right_sure_ece(p, labels):
    sure, predicted = p.max(1)
    right = (predicted == labels).double().mean()
    return [float(right), float(sure.mean()), unc.calibration_error(p, labels)]


@pytest.fixture(scope="module")
def shifted(made):
    """kind: (5 splits, before and after, 4 models, 3): right, sure and ECE."""
    found = {kind: [] for kind in SHIFTS}
    for seed in SEEDS:
        _, (held, answers), (images, labels) = split_of(seed)
        single, *others = (made[seed][n] for n in ("single network", "ensemble"))
        others.append(made[seed]["ensemble, bootstrap"])
        T = unc.fit_temperature(single(held)[0].clamp(min=1e-30).log(), answers)
        for kind, (shift, amount) in SHIFTS.items():
            rows = []
            for x in (images, shift(images, amount)):
                p = single(x)[0]
                scaled = (p.clamp(min=1e-30).log() / T).softmax(1)
                each = [p, scaled, *(other(x).mean(0) for other in others)]
                rows.append([right_sure_ece(q, labels) for q in each])
            found[kind].append(rows)
    return {kind: torch.tensor(rows, dtype=torch.float64) for kind, rows in found.items()}


def test_calibration_is_lost_step_by_step(shifted):
    """Right answers fall further than confidence and the ECE grows, for each model; temperature
    helps, and does not save: the ECE with it is several times what it was.
    """
    for kind, v in shifted.items():
        fall = v[:, 0] - v[:, 1]  # (splits, models, 3)
        for model in range(4):
            assert apart((fall[:, model, 0] - fall[:, model, 1]).tolist()) > 2, (kind, model)
            assert apart((-fall[:, model, 2]).tolist()) > 2, (kind, model)
        assert apart((v[:, 1, 0, 2] - v[:, 1, 1, 2]).tolist()) > 2, kind
        assert v[:, 1, 1, 2].mean() > 3 * v[:, 0, 1, 2].mean(), kind


def test_the_bootstrap_holds_out_better(shifted):
    """At the last step of each shift its ECE is below that of the ensemble of random starts."""
    for kind, v in shifted.items():
        assert apart((v[:, 1, 2, 2] - v[:, 1, 3, 2]).tolist()) > 2, kind


PHOTOS = ["chelsea", "flower", "camera", "coffee", "astronaut", "rocket", "china", "grace_hopper"]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_most_photographs_end_in_doubt(name):
    """Of the eight photographs more than half have a larger entropy in the strongest blur and in
    the strongest noise, in other draws and in a second network.
    """
    network = models.pretrained(name)
    x = torch.cat([network.prepare(p.image) for p in data.photos(PHOTOS).values()])
    x = network.prepare.picture(x).clamp(0, 1)
    with torch.no_grad():
        doubt = lambda x: unc.entropy(network(network.prepare(x)).softmax(1))
        clear = doubt(x)
        moved = [unc.blurred(x, 6), *(unc.noised(x, 0.5, seed) for seed in (1, 2, 3))]
        for y in moved:
            assert int((doubt(y) > clear).sum()) >= 5


# ---------------------------------------------------------------- conformal sets and intervals


@pytest.fixture(scope="module")
def again(made):
    """score: (5 splits, 10 classes and 4 quarters by confidence): covered, in 40 divisions."""
    found = {"usual": [], "by class": [], "adaptive": []}
    for seed in SEEDS:
        _, *rest = split_of(seed)
        images, labels = (torch.cat([part[k] for part in rest]) for k in (0, 1))
        P = made[seed]["single network"](images)[0].double()
        sure = P.max(1).values
        quarter = torch.bucketize(sure, sure.quantile(torch.tensor([0.25, 0.5, 0.75]).double()))
        for name, values in found.items():
            kind = "adaptive" if name == "adaptive" else "threshold"
            of_draws = []
            for draw in range(40):
                order = torch.randperm(len(P), generator=torch.Generator().manual_seed(draw))
                old, new = order.split([400, 1247])
                options = {"score": kind, "by_class": name == "by class", "seed": 2 * draw}
                sets = unc.conformal_sets(P[old], labels[old], P[new], **options)
                hit = sets.gather(1, labels[new][:, None])[:, 0].double()
                parts = [labels[new] == c for c in range(10)] + [
                    quarter[new] == k for k in range(4)
                ]
                of_draws.append([float(hit[part].mean()) for part in parts])
            values.append(torch.tensor(of_draws).mean(0))
    return {name: torch.stack(values) for name, values in found.items()}


def test_each_class_is_covered(again):
    """Of one quantile for all the worst class is far below; with its own each class is at 0.9."""
    assert (again["usual"][:, :10].min(1).values < 0.85).all()
    assert (again["by class"][:, :10] > 0.88).all()


def test_adaptive_sets_cover_more_of_the_hard(again):
    """And still less than promised."""
    gain = again["adaptive"][:, 10] - again["usual"][:, 10]
    assert apart(gain.tolist()) > 2 and (again["adaptive"][:, 10] < 0.88).all()


def test_shift_breaks_the_promise(made):
    for shift, amount in SHIFTS.values():
        for options in ({}, {"by_class": True}, {"score": "adaptive"}):
            covered = []
            for seed in SEEDS:
                _, (held, answers), (images, labels) = split_of(seed)
                one = made[seed]["single network"]
                sets = unc.conformal_sets(
                    one(held)[0], answers, one(shift(images, amount))[0], **options
                )
                covered.append(float(sets.gather(1, labels[:, None]).double().mean()))
            assert max(covered) < 0.75


def test_one_width_is_wrong_on_both_sides():
    """Too much is covered on the left, too little on the right; in units of sigma both sides are
    near 0.9: in three data sets that the page does not use.
    """
    tanh = lambda inward: [torch.nn.Linear(inward, 32), torch.nn.Tanh()]
    start = lambda seed: torch.nn.Sequential(*tanh(1), *tanh(32), torch.nn.Linear(32, 2))
    for seed in (21, 22, 23):
        net = unc.Ensemble(start, members=10)
        known = noisy.curve(gap=1.0, seed=seed)
        options = {"epochs": 150, "learning_rate": 0.01, "batch": 50, "progress": False}
        net.fit(*known, loss=unc.gaussian_nll, **options)

        def said(x, net=net):
            mean, log_variance = net(x).detach().unbind(2)
            return mean.mean(0), unc.decompose_variance(mean, log_variance.exp()).total ** 0.5

        shares = []
        for draw in range(40):
            (x, y), (new, truth) = (
                noisy.curve(n, gap=1.0, seed=9000 + 2 * draw + k) for k, n in enumerate((200, 1000))
            )
            (mean, sd), (centre, spread) = said(x), said(new)
            for width, wide in ((torch.ones_like(sd), torch.ones_like(spread)), (sd, spread)):
                low, high = unc.conformal_intervals((mean, width, y), centre, wide)
                hit = ((low <= truth) & (truth <= high)).double()
                shares.append([hit[new[:, 0] < 0].mean(), hit[new[:, 0] > 0].mean()])
        same, own = torch.tensor(shares).view(40, 2, 2).mean(0)
        assert same[0] > 0.95 and same[1] < 0.85
        assert ((own - 0.9).abs() < 0.04).all()
