"""What a trained model reveals of one person, and training with a bound on it."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..engine.contract import check_arguments, check_scores, undisturbed
from ..uncertainty.calibration import auroc

Loss = Callable[[Tensor, Tensor], Tensor]
# one sample's gradient depends on the others
_MIXING = (nn.modules.batchnorm._BatchNorm, nn.SyncBatchNorm)
ORDERS = tuple(range(2, 65)) + (80, 96, 128, 192, 256, 512)


@dataclass(frozen=True, eq=False)
class Membership:
    """An attack on N people who were trained on and M who were not.

    inside, outside: their losses, (N,) and (M,).
    advantage: true minus false positive rate of Yeom's threshold, the mean loss of the members, in
        [-1, 1].
    auc: over all thresholds, in [0, 1]; chance is 0.5.
    fpr, tpr: the ROC curve, from (0, 0) to (1, 1).
    """

    inside: Tensor
    outside: Tensor
    advantage: float
    auc: float
    fpr: Tensor
    tpr: Tensor


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The cross-entropy in nats of each sample (N,), in float64: near zero loss float32 would make
    ties.

    x, y: samples (N, ...) and their labels (N,).
    Raises TypeError or ValueError as the explanation methods do.

    >>> losses(nn.Sequential(nn.ReLU()), torch.zeros(1, 2), torch.tensor([0]))  # log 2
    tensor([0.6931], dtype=torch.float64)
    """
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        scores = model(x)
    check_scores(scores, x)
    return F.cross_entropy(scores.double(), y, reduction="none")


def membership_inference(
    model: nn.Module, x_in: Tensor, y_in: Tensor, x_out: Tensor, y_out: Tensor
) -> Membership:
    """Was this person in the training set? Say yes if the loss is small (Yeom et al., 2018).

    x_in, y_in: trained on, (N, ...) and (N,).
    x_out, y_out: not trained on, (M, ...) and (M,).
    Raises TypeError or ValueError as `losses` does.

    >>> blind = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).requires_grad_(False)
    >>> _ = blind[1].weight.zero_()
    >>> x, y = torch.ones(3, 4), torch.tensor([0, 1, 0])
    >>> attack = membership_inference(blind, x, y, x, y)
    >>> attack.auc, attack.advantage
    (0.5, 0.0)
    """
    inside, outside = losses(model, x_in, y_in), losses(model, x_out, y_out)
    threshold = inside.mean()
    advantage = (inside <= threshold).double().mean() - (outside <= threshold).double().mean()
    steps = torch.cat([inside, outside]).unique()
    tpr, fpr = (
        torch.searchsorted(part.sort().values, steps, right=True) / len(part)
        for part in (inside, outside)
    )
    start = torch.zeros(1, device=steps.device)
    return Membership(
        inside,
        outside,
        advantage.item(),
        auroc(outside, inside),
        torch.cat([start, fpr]),
        torch.cat([start, tpr]),
    )


def per_sample_gradients(
    model: nn.Module, x: Tensor, y: Tensor, loss: Loss = F.cross_entropy
) -> list[Tensor]:
    """The gradient of each sample's own loss: for every trained parameter of shape (...) a tensor
    (N, ...), all at once.

    Raises ValueError if the model has batch normalisation, which mixes the samples.

    loss: of scores (1, K) and a label (1,).

    >>> x, y = torch.ones(5, 3), torch.tensor([0, 1, 0, 1, 0])
    >>> [g.shape for g in per_sample_gradients(nn.Linear(3, 2), x, y)]
    [torch.Size([5, 2, 3]), torch.Size([5, 2])]
    """
    if mixing := [name for name, part in model.named_modules() if isinstance(part, _MIXING)]:
        raise ValueError(
            f"model: expected no batch normalisation, which mixes the samples of a batch, got "
            f"it at {mixing}"
        )
    trained = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if len(x) == 0:
        return [p.new_zeros(0, *p.shape) for p in trained.values()]

    def of_one(parameters: dict[str, Tensor], x_n: Tensor, y_n: Tensor) -> Tensor:
        return loss(functional_call(model, parameters, (x_n[None],)), y_n[None])

    return list(
        vmap(grad(of_one), in_dims=(None, 0, 0), randomness="different")(trained, x, y).values()
    )


def clipped_sum(gradients: list[Tensor], clip: float) -> tuple[list[Tensor], Tensor]:
    """sum_n g_n min(1, C / |g_n|), where |g_n| is taken over all parameters together, and the norms
    (N,) before clipping (Abadi et al., 2016).

    gradients: (N, ...) each, as `per_sample_gradients` gives them.
    clip: C > 0. Leaving out one sample changes the sum by C at most.

    >>> clipped_sum([torch.tensor([[3.0, 4.0], [0.3, 0.4]])], clip=1.0)
    ([tensor([0.9000, 1.2000])], tensor([5.0000, 0.5000]))
    """
    norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    scale = (clip / norms.clamp(min=1e-12)).clamp(max=1)
    return [torch.tensordot(scale, g, 1) for g in gradients], norms


def dp_sgd_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    clip: float,
    noise: float,
    learning_rate: float,
    seed: int,
    batch: float | None = None,
    loss: Loss = F.cross_entropy,
) -> Tensor:
    """One private step, in place: w <- w - eta / B (sum_n clip(g_n) + noise C z), z ~ N(0, I)
    (Abadi et al., 2016, algorithm 1).

    x, y: the people drawn for this step, (n, ...) and (n,), n = 0 included.
    clip: C > 0, the largest norm of one person's gradient.
    noise: the standard deviation in units of C.
    learning_rate: eta.
    batch: B, how many people are drawn on average; their actual number if None.

    Returns the norms (n,) before clipping. The model's `.grad`, its mode and the global random
    state stay as they were.
    Raises ValueError if a number is out of range, or if the model has batch normalisation.

    >>> model, x, y = nn.Linear(3, 2), torch.ones(5, 3), torch.tensor([0, 1, 0, 1, 0])
    >>> dp_sgd_step(model, x, y, clip=1.0, noise=1.0, learning_rate=0.1, seed=0).shape
    torch.Size([5])
    """
    batch = len(x) if batch is None else batch
    if not (clip > 0 and noise >= 0 and learning_rate > 0 and batch > 0):
        raise ValueError(
            f"clip, noise, learning_rate, batch: expected clip, rate and batch above 0 and "
            f"noise >= 0, got {clip}, {noise}, {learning_rate}, {batch}"
        )
    with torch.random.fork_rng([x.device] if x.is_cuda else []):  # for dropout
        torch.manual_seed(seed)
        total, norms = clipped_sum(per_sample_gradients(model, x, y, loss), clip)
        with torch.no_grad():
            for parameter, change in zip((p for p in model.parameters() if p.requires_grad), total):
                step = change + noise * clip * torch.randn_like(change)
                parameter.sub_(learning_rate / batch * step)
    return norms


def dp_fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    steps: int,
    batch: float,
    clip: float,
    noise: float,
    learning_rate: float,
    seed: int = 0,
    stops: tuple[int, ...] = (),
) -> list[nn.Module]:
    """`steps` private steps, in place, each on people drawn independently with probability batch /
    N, as the accountant assumes.

    x, y: everybody, (N, ...) and (N,).
    clip, noise, learning_rate: as for `dp_sgd_step`, with its errors.

    Returns a copy of the model after each number of steps in `stops`. Afterwards the model is in
    evaluation mode.
    Raises ValueError if an argument does not fit.

    >>> model, x, y = nn.Linear(3, 2), torch.ones(5, 3), torch.tensor([0, 1, 0, 1, 0])
    >>> len(dp_fit(model, x, y, 4, batch=2, clip=1.0, noise=1.0, learning_rate=0.1, stops=(2, 4)))
    2
    """
    if not 0 < batch <= len(x) or len(x) != len(y):
        raise ValueError(
            f"x, y, batch: expected as many labels as samples and 0 < batch <= {len(x)}, got "
            f"{len(y)} labels and batch {batch}"
        )
    draw = torch.Generator().manual_seed(seed)
    copies = []
    for step in range(1, steps + 1):
        chosen = (torch.rand(len(x), generator=draw) < batch / len(x)).to(x.device)
        fresh = int(torch.randint(2**31, (), generator=draw))
        dp_sgd_step(model.train(), x[chosen], y[chosen], clip, noise, learning_rate, fresh, batch)
        if step in stops:
            copies.append(copy.deepcopy(model).eval())
    model.eval()
    return copies


def renyi_divergence(order: int, rate: float, noise: float) -> float:
    """Of one step of the Gaussian mechanism on people drawn with probability q = rate (Mironov,
    Talwar and Zhang, 2019, section 3.3):

        1 / (a - 1) log sum_k binom(a, k) (1 - q)^(a - k) q^k exp((k^2 - k) / (2 sigma^2))

    order: a, a whole number >= 2.
    rate: in (0, 1].
    noise: sigma > 0.

    Returns nats.

    >>> renyi_divergence(order=2, rate=1.0, noise=1.0)
    1.0
    """
    if rate == 1:
        return order / (2 * noise**2)
    terms = [
        math.lgamma(order + 1)
        - math.lgamma(k + 1)
        - math.lgamma(order - k + 1)
        + (order - k) * math.log1p(-rate)
        + k * math.log(rate)
        + (k * k - k) / (2 * noise**2)
        for k in range(order + 1)
    ]
    return torch.tensor(terms, dtype=torch.float64).logsumexp(0).item() / (order - 1)


def epsilon(noise: float, rate: float, steps: int, delta: float = 1e-5) -> float:
    """The epsilon of `steps` private steps, (epsilon, delta)-differentially private: the best over
    the orders a of

        steps D_a + log((a - 1) / a) - (log delta + log a) / (a - 1)

    with the divergences D_a of `renyi_divergence` (Canonne, Kamath and Steinke, 2020, proposition
    12). Without noise there is no bound: infinity.
    Raises ValueError if an argument is out of range.

    >>> round(epsilon(noise=1.0, rate=256 / 20000, steps=600), 2)
    2.19
    """
    if not (noise >= 0 and 0 < rate <= 1 and steps >= 1 and 0 < delta < 1):
        raise ValueError(
            f"noise, rate, steps, delta: expected noise >= 0, rate in (0, 1], steps >= 1, "
            f"delta in (0, 1), got {noise}, {rate}, {steps}, {delta}"
        )
    if noise == 0:
        return math.inf
    best = min(
        steps * renyi_divergence(a, rate, noise)
        + math.log1p(-1 / a)
        - math.log(delta * a) / (a - 1)
        for a in ORDERS
    )
    return max(0.0, best)


def noise_for(target: float, rate: float, steps: int, delta: float = 1e-5) -> float:
    """The smallest noise, to three digits or better, whose `epsilon` is at most `target` > 0.

    Raises ValueError if an argument is out of range.

    >>> round(noise_for(2.194, rate=256 / 20000, steps=600), 2)
    1.0
    """
    if not target > 0:
        raise ValueError(f"target: expected an epsilon above 0, got {target}")
    low, high = 1e-2, 1e-2
    while epsilon(high, rate, steps, delta) > target:
        low, high = high, 2 * high
    while high > 1.0005 * low:
        middle = math.sqrt(low * high)
        if epsilon(middle, rate, steps, delta) > target:
            low = middle
        else:
            high = middle
    return high


def advantage_bound(epsilon: float, delta: float = 1e-5) -> float:
    """The largest advantage of any attack on one person: (e^eps - 1 + 2 delta) / (e^eps + 1)
    (Kairouz, Oh and Viswanath, 2015).

    Raises ValueError if an argument is out of range.

    >>> round(advantage_bound(1.0), 2), advantage_bound(math.inf)
    (0.46, 1.0)
    """
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise ValueError(
            f"epsilon, delta: expected epsilon >= 0 and delta in [0, 1], got {epsilon} and {delta}"
        )
    return math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700)) + 1)
