"""What the chapter concludes from one start, on three that it does not use."""

import math

import measure
import pytest
import torch

from lib import data, models, training, vae

pytestmark = pytest.mark.slow
SEEDS = range(10, 13)
DEEP = {"skip": False, "hidden": (128,) * 5}


@pytest.fixture(scope="module")
def pictures():
    digits = data.digits()
    draw = lambda grey: torch.bernoulli(grey, generator=torch.Generator().manual_seed(1))
    return draw(digits.x_train.repeat(20, 1, 1, 1)), draw(digits.x_test)


def bound(pictures, seed, steps, **options):
    train, test = pictures
    model = vae.dense_vae(**options, seed=seed)
    vae.fit(model, train, steps, average=0.99, seed=seed, progress=False)
    found = vae.elbo(model, test, 20)
    return found.total.mean().item(), found.kl.mean().item()


def test_collapse_was_slowness(pictures):
    """Without a cure the deep network codes little after 1,200 steps and two nats after 3,000; with
    skip links it codes at once, and its bound is higher by more than half a nat.
    """
    for seed in SEEDS:
        (early, little), (late, more) = (bound(pictures, seed, s, **DEEP) for s in (1200, 3000))
        assert little < 1.6 < more and late > early + 1
        linked, _ = bound(pictures, seed, 3000, **DEEP | {"skip": True})
        assert linked > late + 0.5


# ---------------------------------------------------------------- the trained network of 28 x 28


@torch.no_grad()
def sure(pictures):
    """The share of pictures with a digit of more than 90 %, by the classifier of chapter 1."""
    p = models.mnist_cnn()(pictures.view(-1, 1, 28, 28)).softmax(1).amax(1)
    return (p > 0.9).float().mean()


@torch.no_grad()
def test_halfway_in_the_codes():
    """Sure as often as of fresh draws, up to what two samples of 500 differ by; much less often
    halfway in the pixels.
    """
    network = vae.mnist_vae()
    for seed in range(10, 15):
        codes = torch.randn(3, 500, 32, generator=torch.Generator().manual_seed(seed))
        a, b, fresh = map(network.expected, codes)
        walked = sure(network.expected((codes[0] + codes[1]) / 2))
        assert abs(walked - sure(fresh)) < 0.09
        assert sure((a + b) / 2) < 0.65 * walked


@torch.no_grad()
def test_attribute_directions():
    """Two steps along the direction of lean or ink move it by more than 1.5 standard deviations,
    the other by less than half of one; none of 20 random directions moves either by 1.2.
    """
    network = vae.mnist_vae()
    place, unit = torch.arange(28.0), torch.nn.functional.normalize

    def lean(x):
        x = x.view(-1, 28, 28)
        total = x.sum((1, 2))
        row, column = x.sum(2) @ place / total, x.sum(1) @ place / total
        up, right = row[:, None] - place, place - column[:, None]
        both = (x * up[:, :, None] * right[:, None]).sum((1, 2))
        return both / (x.sum(2) * up**2).sum(1)

    scores = (lean, lambda x: x.sum(1))
    for seed in range(10, 15):
        generator = torch.Generator().manual_seed(seed)
        z, others = torch.randn(2500, 32, generator=generator).split([2000, 500])
        many, base = network.expected(z), network.expected(others)

        def effect(line, others=others, many=many, base=base):
            moved = network.expected(others + 2 * line)
            return [((f(moved) - f(base)) / f(many).std()).mean().item() for f in scores]

        for own, f in enumerate(scores):
            more = f(many) > f(many).median()
            found = effect(unit(z[more].mean(0) - z[~more].mean(0), dim=0))
            assert found[own] > 1.5 and abs(found[1 - own]) < 0.5
        chance = unit(torch.randn(20, 32, generator=generator))
        assert max(abs(e) for line in chance for e in effect(line)) < 1.2


def test_start_more_than_beta():
    """Disentanglement of a spot's two factors: the means of two betas are closer together than one
    standard deviation of the starts of either.
    """
    spot, known, found = vae.spots(2000, 0)[0], vae.spots(500, 1), {}
    for beta in (1, 4):
        scores = []
        for seed in range(10, 22):
            model = vae.dense_vae(100, (64,), latent=3, seed=seed)
            vae.fit(model, spot, 500, beta=beta, seed=seed, progress=False)
            scores.append(vae.disentanglement(model, *known))
        found[beta] = torch.tensor(scores)
    apart = (found[1].mean() - found[4].mean()).abs()
    assert all(apart < scores.std() and scores.std() > 0.15 for scores in found.values())


# ---------------------------------------------------------------- codes of two numbers


@torch.no_grad()
def commonest(network, read, z):
    """How often a classifier is sure of what draws become, and the share of the two commonest
    digits among those.
    """
    p, digit = read(network.expected(z)).softmax(1).max(1)
    known = digit[p > 0.9]
    return len(known) / len(z), known.bincount().topk(2).values.sum() / len(known)


def test_prior_draws():
    """Draws pass for digits about as often in the plain autoencoder as in the VAE, but two digits
    are most of them; a network that is told the digit gives more.
    """
    planes, read = vae.mnist_planes(), models.mnist_cnn()
    seen = lambda x: read(x.view(-1, 1, 28, 28))
    assert planes.codes[0].std() > 5 and 0.8 < planes.codes[1].std() < 1.2
    for seed in range(10, 15):
        z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(seed))
        plain, ours = (commonest(planes.networks[name], seen, z) for name in vae.PLANES[:2])
        assert plain[0] > ours[0] - 0.05 and plain[1] > 0.6 and ours[1] < 0.4
        told = planes.networks["conditional VAE"].expected(z, planes.classes)
        assert (seen(told).softmax(1).amax(1) > 0.9).float().mean() > plain[0]


def test_prior_draws_from_other_starts(pictures):
    (train, test), read = pictures, models.pretrained("digits_cnn")
    seen = lambda x: read(x.view(-1, 1, 8, 8))
    for seed in range(10, 15):
        z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(seed))
        plain, ours = (vae.dense_vae(latent=2, seed=seed) for _ in range(2))
        settings = {"steps": 2000, "seed": seed, "progress": False}
        vae.fit(plain, train, beta=0, noise=False, **settings)
        vae.fit(ours, train, **settings)
        spread = [model.encode(test)[0].std() for model in (plain, ours)]
        assert spread[0] > 2 * spread[1]
        assert commonest(plain, seen, z)[1] > commonest(ours, seen, z)[1]


# ---------------------------------------------------------------- the families


def test_a_second_layer_adds_little(pictures):
    """Between nothing and a fifth of a nat."""
    train, test = pictures
    for seed in SEEDS:
        rbm = vae.RBM(hidden=16, seed=seed)
        vae.fit_rbm(rbm, train, 6000, learning_rate=0.1, seed=seed)
        belief = vae.DeepBelief(rbm)
        vae.fit_rbm(belief.top, belief.up(train), 3000, learning_rate=0.1, seed=seed)
        gain = (belief.log_likelihood(test) - rbm.log_likelihood(test)).mean()
        assert 0 < gain < 0.2


def test_families_in_order(pictures):
    """With equal steps the VAE's bound and the autoregressive model are close, the RBM follows, and
    the flow ends below independent pixels; all samples have more edges than training images, and
    the flow's have the most.
    """
    train, test = pictures
    read, ink = models.pretrained("digits_cnn"), train.mean(0).flatten().clamp(0.001, 0.999)
    alone = vae.bernoulli_log_likelihood(test.flatten(1), torch.logit(ink)).mean()
    for seed in SEEDS:
        made = {
            name: measure.raised(make(seed), train, seed) for name, make in measure.FAMILIES.items()
        }
        log_p = {name: measure.likelihood(model, test) for name, model in made.items()}
        edges = {
            name: measure.judged(read, test, measure.sampled(model, seed))["edges"]
            for name, model in made.items()
        }
        first, auto, rbm, flow = log_p.values()
        assert abs(first - auto) < 0.3 and rbm < first - 0.5 and flow < alone - 0.2
        assert max(edges, key=edges.__getitem__) == "flow"
        assert min(edges.values()) > measure.judged(read, test, train[:360].flatten(1))["edges"]


def test_a_flow_of_grey_pixels():
    """All 17 levels of the digits: the flow's bound is above independent pixels, whose shares of
    levels are counted.
    """
    digits = data.digits()
    train, test = ((16 * x.flatten(1)).round() for x in (digits.x_train, digits.x_test))
    counted = torch.stack([(train == level).float().sum(0) for level in range(17)]) + 0.1
    alone = (counted / counted.sum(0)).log().gather(0, test.long()).sum(1).mean()

    def bound(flow, x):
        share = 0.001 + 0.998 * (x + torch.rand_like(x)) / 17
        slope = math.log(0.998 / 17) - share.log() - torch.log1p(-share)
        return flow.log_density(torch.logit(share)) + slope.sum(1)

    for seed in SEEDS:
        flow = vae.Flow(seed=seed)
        optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3000)
        with models.seeded(seed):
            for _ in range(3000):
                x = train[torch.randint(len(train), (128,))]
                training.descend(optimizer, -bound(flow, x).mean())
                schedule.step()
            with torch.no_grad():
                draws = torch.stack([bound(flow, test) for _ in range(200)])
        assert (draws.logsumexp(0) - math.log(200)).mean() > alone + 1
