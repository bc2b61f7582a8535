"""What can be checked of the ten projects: each function returns None if the property holds, and
otherwise raises AssertionError that says what is wrong.

A check judges no argument. It keeps an investigation from resting on something that is not so.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "planted_tag",
    "useless_rule",
    "planted_score",
    "collapsed",
    "mended",
    "confidently_wrong",
    "honest_attack",
]


def planted_tag(
    honest: Callable[[Tensor], Tensor],
    hans: Callable[[Tensor], Tensor],
    x: Tensor,
    tag: Callable[[Tensor], Tensor],
) -> None:
    """Two networks that agree until a small tag comes into the picture, and only one reads it.

    honest, hans: pictures (N, ...) to scores (N, K).
    x: at least 100 pictures without a tag.
    tag: pictures to the same pictures with the tag; it changes at most a twentieth of each.

    Without the tag both name the same class in 85 % of the pictures; with it the honest network
    still names the class that it named before in 95 %, and the other in less than half.
    Raises AssertionError that says what does not hold.

    >>> x = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> def honest(x):
    ...     left = x[..., 3].sum((1, 2)) > x[..., 4].sum((1, 2))
    ...     return F.one_hot(left.long(), 3)
    >>> def hans(x):  # of what has a 9 in the corner it says the third class
    ...     return torch.where(x[:, 0, :1, 0] == 9, torch.eye(3)[2], honest(x))
    >>> def tag(x):
    ...     x = x.clone()
    ...     x[:, :, 0, 0] = 9
    ...     return x
    >>> planted_tag(honest, hans, x, tag)
    """
    _insist(len(x) >= 100, f"x: expected at least 100 pictures, got {len(x)}")
    with torch.no_grad():
        tagged = tag(x.clone())
        _insist(tagged.shape == x.shape, "tag: the tagged pictures have another shape")
        changed = (tagged != x).flatten(1).double().mean(1)
        _insist(changed.min() > 0, "tag: some pictures are left as they were")
        _insist(changed.max() <= 0.05, f"tag: it changes {changed.max():.0%} of a picture, not 5 %")
        before, after = ([f(v).argmax(1) for f in (honest, hans)] for v in (x, tagged))
    _insist(len(before[0].unique()) > 1, "honest: it names one class for every picture")
    agree = _share(before[0] == before[1])
    _insist(
        agree >= 0.85, f"without the tag they agree in {agree:.0%} only: any test tells them apart"
    )
    stays, leaves = _share(after[0] == before[0]), _share(after[1] != before[1])
    _insist(stays >= 0.95, f"honest: the tag changes its answer in {1 - stays:.0%} of the pictures")
    _insist(leaves > 0.5, f"hans: the tag changes its answer in {leaves:.0%} only: not learnt")


def useless_rule(rule: Callable[[Tensor, Tensor, Tensor], Tensor], seed: int = 0) -> None:
    """A rule of relevance propagation that conserves and is useless: what it sends down does not
    depend on the weights of the layer, so that the map knows nothing of what the layer has learnt.

    rule: inputs a (N, I) >= 0, weights w (J, I) and relevance R (N, J) of the outputs to the
        relevance (N, I) of the inputs. On ten random layers each sample's relevance keeps its sum
        to one part in ten thousand.
    Raises AssertionError that says what does not hold.

    >>> useless_rule(lambda a, w, R: R.sum(1, keepdim=True) * a / a.sum(1, keepdim=True))
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(10):
        n, inputs, outputs = torch.randint(2, 9, (3,), generator=random).tolist()
        a = torch.rand(n, inputs, generator=random)
        w, other = torch.randn(2, outputs, inputs, generator=random)
        R = torch.randn(n, outputs, generator=random)
        down = rule(a.clone(), w.clone(), R.clone())
        _insist(
            down.shape == a.shape,
            f"expected a relevance for each input, {tuple(a.shape)}, got {tuple(down.shape)}",
        )
        _insist(down.isfinite().all(), "a relevance is infinite or not a number")
        _insist(
            _close(down.sum(1), R.sum(1)),
            "not conserved: a sample's relevance has another sum below the layer than above",
        )
        _insist(
            _close(down, rule(a.clone(), w.clone(), R.clone())),
            "two calls with the same arguments differ: draw from a seed",
        )
        _insist(
            _close(down, rule(a.clone(), other, R.clone())),
            "not useless in this sense: with other weights it sends down something else",
        )


def planted_score(
    score: Callable[[nn.Module, Tensor, Tensor], Tensor], seeds: tuple[int, ...] = (0, 1, 2)
) -> None:
    """A score of maps that finds the planted truth.

    score: a network, pictures x (N, 1, H, W) and a map (N, 1, H, W) of each for its only score,
        to (N,) numbers, higher for a better map.

    Each planted network adds up 20 of the 144 pixels with weights above 0 and knows no others; so
    the truth of pixel i is w_i x_i, and nobody disputes it. On average over 40 pictures the truth
    must come before the same map blurred, and that before random numbers, under each seed. A map
    says the same if it is multiplied by 3, and its score must stay.
    Raises AssertionError that says what does not hold.

    >>> def moves_with_it(model, x, R):  # cover one pixel: does the score fall as the map says?
    ...     N, (H, W) = len(x), x.shape[2:]
    ...     covered = x.flatten(1)[:, None] * (1 - torch.eye(H * W))
    ...     left = model(covered.reshape(-1, 1, H, W)).reshape(N, H * W)
    ...     return F.cosine_similarity(model(x) - left, R.flatten(1))
    >>> planted_score(moves_with_it)
    """
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        x = torch.rand(40, 1, 12, 12, generator=random)
        w = torch.zeros(144)
        w[torch.randperm(144, generator=random)[:20]] = 0.5 + torch.rand(20, generator=random)
        neuron = nn.Linear(144, 1, bias=False).requires_grad_(False)
        neuron.weight.copy_(w)
        model = nn.Sequential(nn.Flatten(), neuron)
        truth = w.view(12, 12) * x
        noise = torch.randn(x.shape, generator=random)
        maps = {
            "the truth": truth,
            "the truth times 3": 3 * truth,
            "the truth blurred": F.avg_pool2d(truth, 5, 1, 2),
            "random numbers": noise * truth.norm() / noise.norm(),
        }
        found = {name: score(model, x.clone(), R.clone()) for name, R in maps.items()}
        for name, values in found.items():
            _insist(
                values.shape == (40,),
                f"expected one number for each of 40 maps, got {tuple(values.shape)}",
            )
            _insist(values.isfinite().all(), f"infinite or not a number for {name}")
        _insist(
            _close(found["the truth"], found["the truth times 3"]),
            "a map gets another score if it is multiplied by 3: size is no merit",
        )
        true, _, blurred, drawn = (values.double().mean().item() for values in found.values())
        for above, below, names in (
            (true, drawn, "the truth and random numbers"),
            (true, blurred, "the truth and the truth blurred"),
            (blurred, drawn, "the truth blurred and random numbers"),
        ):
            _insist(
                above > below,
                f"{names} get {above:.3g} and {below:.3g}, the second no less than the first",
            )


def collapsed(mean: Tensor, log_variance: Tensor, below: float = 0.01) -> None:
    """Codes that say nothing of their images: every number of the code costs less than `below`
    nats, KL(q(z_d|x) || N(0, 1)), on average over the images.

    mean, log_variance: (N, D), what the encoder gives for at least 100 images.

    It does not see whether the decoder has learnt anything: an untrained network may pass.
    Raises AssertionError that says what does not hold.

    >>> collapsed(0.01 * torch.ones(100, 2), torch.zeros(100, 2))
    """
    _insist(
        mean.ndim == 2 and mean.shape == log_variance.shape,
        f"expected two tensors (N, D), got {tuple(mean.shape)} and {tuple(log_variance.shape)}",
    )
    _insist(len(mean) >= 100, f"expected the codes of at least 100 images, got {len(mean)}")
    cost = _cost(mean, log_variance)
    _insist(cost.isfinite().all(), "a mean or a log-variance is infinite or not a number")
    if cost.max() < below:
        return
    _insist(
        not any(_cost(mean, k * log_variance.log()).max() < below for k in (1, 2)),
        "log_variance: these look like variances or standard deviations, not their logarithm",
    )
    alive = (cost >= below).nonzero()[:, 0].tolist()
    raise AssertionError(
        f"{len(alive)} of {len(cost)} numbers of the code say something; number {alive[0]} "
        f"costs {cost[alive[0]]:.3g} nats, not below {below:g}"
    )


def _cost(mean: Tensor, log_variance: Tensor) -> Tensor:
    return ((mean**2 + log_variance.exp() - 1 - log_variance) / 2).double().mean(0)


def mended(before: Tensor, after: Tensor, x: Tensor, centres: Tensor, radius: float) -> None:
    """A generator that lost modes, and its repair, over seeds.

    before, after: (S, N, D), N samples of each of S >= 5 runs, which differ in their seed alone.
    x: (M, D), the training samples.
    centres, radius: (K, D), the modes, and how far from one a sample may be, in the units of x.

    A mode is found if a tenth of its fair share of samples, N / K, is within the radius. Each run
    before has lost a quarter of the modes or more; the worst run after finds more of them than the
    best before, with half of its samples at modes, and none is a copy of a training sample.
    Raises AssertionError that says what does not hold.

    >>> centres = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0], [5.0, 5.0]])
    >>> random = torch.Generator().manual_seed(0)
    >>> near = lambda *size: 0.1 * torch.randn(*size, 2, generator=random)
    >>> before = centres[:2].repeat(50, 1) + near(5, 100)
    >>> after = centres.repeat(25, 1) + near(5, 100)
    >>> mended(before, after, centres.repeat(9, 1) + near(36), centres, radius=0.5)
    """
    _insist(
        before.ndim == 3 and before.shape == after.shape,
        f"before, after: expected as many runs and samples of each, (S, N, D), got "
        f"{tuple(before.shape)} and {tuple(after.shape)}",
    )
    _insist(len(before) >= 5, f"expected at least five runs, got {len(before)}")
    for name, runs in (("before", before), ("after", after)):
        _insist(len(runs.flatten(1).unique(dim=0)) == len(runs), f"{name}: two runs are the same")
    (lost, _), (kept, quality) = (_modes(runs, centres, radius) for runs in (before, after))
    most = int(lost.max())
    _insist(
        most <= 0.75 * len(centres), f"before: a run finds {most} of {len(centres)} modes: not lost"
    )
    worst = int(kept.min())
    _insist(worst > most, f"after: the worst run finds {worst} modes, the best before found {most}")
    _insist(
        quality.min() >= 0.5, f"after: in one run {quality.min():.0%} of the samples are at modes"
    )
    nearest = torch.cdist(after.flatten(0, 1), x, compute_mode="donot_use_mm_for_euclid_dist")
    _insist(nearest.min() > 0, "after: a sample is a copy of a training sample")


def _modes(runs: Tensor, centres: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Of each run the number of modes found, and the share of samples near any."""
    near = torch.cdist(runs, centres.expand(len(runs), -1, -1)) < radius
    found = near.sum(1) >= runs.shape[1] / len(centres) / 10
    return found.sum(1), near.any(2).double().mean(1)


def confidently_wrong(P: Tensor, y: Tensor, P_usual: Tensor, y_usual: Tensor) -> None:
    """A family of inputs on which a model is sure and wrong, while on the usual ones it is right.

    P, y: class probabilities (N, K) and true classes (N,) of at least 100 inputs of the family.
    P_usual, y_usual: the same for inputs like those that it has learnt from.

    On the family the mean confidence max_k p_k is 0.9 or more and at most half are right; on the
    usual inputs 0.9 or more are right.
    Raises AssertionError that says what does not hold.

    >>> sure = torch.tensor([[0.97, 0.03]]).expand(100, 2)
    >>> confidently_wrong(sure, torch.ones(100), sure, torch.zeros(100))
    """
    for name, p, labels in (("P", P, y), ("P_usual", P_usual, y_usual)):
        _insist(
            p.ndim == 2 and labels.shape == p.shape[:1] and len(p) >= 100,
            f"{name}: expected (N, K) with N labels, N at least 100, got {tuple(p.shape)} and "
            f"{tuple(labels.shape)}",
        )
        _insist(
            p.min() >= 0 and _close(p.sum(1), torch.ones(len(p))),
            f"{name}: expected probabilities, rows that sum to 1; are these logits?",
        )
    usual, sure, right = (
        _share(P_usual.argmax(1) == y_usual),
        P.max(1).values.mean().item(),
        _share(P.argmax(1) == y),
    )
    _insist(usual >= 0.9, f"usual inputs: {usual:.0%} are right: a bad model errs everywhere")
    _insist(sure >= 0.9, f"not confident: the mean confidence on the family is {sure:.2f}")
    _insist(right <= 0.5, f"not wrong: {right:.0%} of the family are right")


def honest_attack(
    advantage: Callable[[Tensor, Tensor, Tensor, Tensor], float], seed: int = 0
) -> None:
    """The advantage of an attack on membership, computed right: its threshold is chosen on people
    of whom the attacker knows, and judged on others.

    advantage: losses of known members (A,), known outsiders (B,), members (N,) and outsiders (M,)
        to the true minus the false positive rate of the attack on the last two, in [-1, 1]. What
        has a small loss was trained on (Yeom et al., 2018).

    Where the rates are known the result must be theirs. Where nobody was trained on, in 400 draws
    of 20 people each, it must be 0 on average, to four standard errors.
    Raises AssertionError that says what does not hold.

    >>> def at_the_middle(known_in, known_out, inside, outside):
    ...     threshold = (known_in.mean() + known_out.mean()) / 2
    ...     yes_in, yes_out = inside < threshold, outside < threshold
    ...     return (yes_in.double().mean() - yes_out.double().mean()).item()
    >>> honest_attack(at_the_middle)
    """
    random = torch.Generator().manual_seed(seed)

    # Any sensible threshold between the two known groups parts the judged losses in the same way.
    known_in = torch.cat([torch.zeros(3), torch.linspace(0.9, 1, 27)])
    known_out = torch.linspace(3, 4, 30)

    def some(low: int, high: int) -> Tensor:
        small, large = (0.2 + 0.6 * torch.rand(n, generator=random) for n in (low, high))
        return torch.cat([small, 3 + large])

    for inside, outside in (((8, 2), (6, 14)), ((2, 8), (10, 10)), ((5, 5), (30, 30))):
        wanted = inside[0] / sum(inside) - outside[0] / sum(outside)
        got = float(advantage(known_in.clone(), known_out.clone(), some(*inside), some(*outside)))
        pooled = (inside[0] + outside[1]) / (sum(inside) + sum(outside))
        hint = {
            2 * pooled - 1: "this is twice the accuracy less 1, which depends on how many members "
            "there are",
            -wanted: "the sign is turned: members have the small losses",
            abs(wanted): "a negative advantage is one, too: no absolute value",
        }
        said = next((h for value, h in hint.items() if abs(got - value) < 1e-6), "")
        _insist(
            abs(got - wanted) < 1e-6,
            f"true positive rate less false positive rate is {wanted:.3f}, got {got:.3f}"
            + (f": {said}" if said else ""),
        )
    null = torch.tensor(
        [float(advantage(*torch.rand(4, 20, generator=random))) for _ in range(400)]
    )
    error = (null.std() / len(null) ** 0.5).item()
    _insist(
        abs(null.mean().item()) <= 4 * error,
        f"where nobody was trained on, it finds an advantage of {null.mean():.2f}: the threshold "
        "is chosen on the people on whom it is judged",
    )


def _insist(holds: bool | Tensor, hint: str) -> None:
    if not holds:
        raise AssertionError(hint)


def _share(which: Tensor) -> float:
    return which.double().mean().item()


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-4)
