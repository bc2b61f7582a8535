"""The checks of the exercises on adversarial networks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, bincount, cat, cdist, full_like, nn, optim, stack, tensor, where, xlogy
from torch import float64 as double
from torch.func import grad
from torch.nn.functional import softplus

from ._helpers import Draw, Refusal, call, close, drawn, exercise, judge, slope

_SGD, _cat, _stack = optim.SGD, cat, stack  # bound here, whatever an answer does to torch

# ---------------------------------------------------------------- losses


def d_loss(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def g_loss(fake: Tensor) -> Tensor:
    return softplus(-fake).mean()


def logits(d: Draw, n: int, m: int) -> tuple:
    return d.uniform(-3, 4, n), d.uniform(-4, 3, m)


@exercise
def check_d_loss(answer: Callable) -> None:
    """(real_logits (N,), fake_logits (M,)) -> scalar: -mean log sigma(real) - mean log(1 -
    sigma(fake)).
    """
    judge(
        answer,
        {
            "more generated than real samples": drawn(logits, 3, 7),
            "more real than generated samples": drawn(logits, 5, 2),
            "one sample": drawn(logits, 1, 1),
            "double precision": drawn(logits, 4, 4, dtype=double),
            "logits of +-200, right and wrong": (tensor([200.0, -200, 0]), tensor([-200.0, 200])),
        },
        d_loss,
        {
            "real and generated are exchanged": lambda r, f: d_loss(f, r),
            "the generated samples should pass for real here": lambda r, f: d_loss(r, -f),
            "all N + M samples share one mean": lambda r, f: softplus(cat([-r, f])).mean(),
            "the samples are summed; take means": lambda r, f: softplus(cat([-r, f])).sum(),
            "the term of the generated samples is missing": lambda r, f: g_loss(r),
            "the sigmoid is applied twice": lambda r, f: d_loss(r.sigmoid(), f.sigmoid()),
        },
        "the value is not -mean log sigma(real) - mean log(1 - sigma(fake)), exact also where a "
        "logit is +-200 (nothing is cut off)",
    )


@exercise
def check_g_loss_nonsaturating(answer: Callable) -> None:
    """(fake_logits (N,)) -> scalar: -mean log sigma(fake), and its slope."""
    leaf = tensor([-9.0, 0.5, 3, -0.25]).requires_grad_()
    steep = (-(-leaf).sigmoid() / len(leaf)).tolist()
    judge(
        answer,
        {
            "several samples": drawn(logits, 7, 7)[1:],
            "one sample": drawn(logits, 1, 1)[1:],
            "double precision": drawn(logits, 4, 4, dtype=double)[1:],
            "logits of +-200": (tensor([200.0, -200, 0]),),
        },
        g_loss,
        {
            "this is the saturating loss: its slope dies where D is sure": lambda f: -g_loss(-f),
            "the generator would learn to be found out": lambda f: g_loss(-f),
            "the samples are summed; take their mean": lambda f: softplus(-f).sum(),
            "the sigmoid is applied twice": lambda f: g_loss(f.sigmoid()),
            "the logarithm is to base 2; take nats": lambda f: g_loss(f) / math.log(2),
        },
        "the value is not -mean log sigma(fake), also at +-200 (nothing is cut off)",
    )
    found = slope(call(answer, (leaf,)), leaf)
    if found is None:
        raise AssertionError(
            "no gradient comes back from the loss, so that the generator could not learn; stay "
            "with torch's functions, without detach, item or numpy"
        )
    if not close(found, steep):
        raise AssertionError("the value is right and its gradient is not that of -mean log sigma")


# ---------------------------------------------------------------- one step of the game


def player(values: Tensor, last: nn.Module) -> nn.Sequential:
    """One linear layer, its bias in the last column: a generator (2 to 3) ends in tanh, a
    discriminator (3 to 1) gives logits (N,).
    """
    outputs, inputs = values.shape[0], values.shape[1] - 1
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=values.dtype)
    layer.load_state_dict({"weight": values[:, :-1], "bias": values[:, -1]})
    return nn.Sequential(layer, last)


def make(g: Tensor, z: Tensor) -> Tensor:
    return (z @ g[:, :2].T + g[:, 2]).tanh()


def logit(d: Tensor, v: Tensor) -> Tensor:
    return v @ d[0, :3] + d[0, 3]


@dataclass(frozen=True)
class Game:
    """Two steps of the game. What slips change: the losses, G judged by the D before its step, G
    first, gradients that leak from D's loss into G or from G's loss into a step of D, gradients
    that are kept.
    """

    d_of: Callable = d_loss
    g_of: Callable = g_loss
    old: bool = False
    first: bool = False
    leak: bool = False
    both: bool = False
    keep_d: bool = False
    keep_g: bool = False

    def __call__(
        self, g: Tensor, d: Tensor, x: Tensor, z: Tensor, rate_g: float, rate_d: float
    ) -> list:
        left_d, left_g, states = 0 * d, 0 * g, []
        for data, code in zip(x, z, strict=True):

            def of_d(d: Tensor, g: Tensor, data: Tensor = data, code: Tensor = code) -> Tensor:
                return self.d_of(logit(d, data), logit(d, make(g, code)))

            def of_g(d: Tensor, g: Tensor, code: Tensor = code) -> Tensor:
                return self.g_of(logit(d, make(g, code)))

            before, made = d, g - rate_g * grad(of_g, 1)(d, g) if self.first else g
            slope_d = grad(of_d)(d, made) + left_d
            d = d - rate_d * slope_d
            judged = before if self.old or self.first else d
            slope_g = grad(of_g, 1)(judged, g) + left_g + self.leak * grad(of_d, 1)(before, g)
            through = grad(of_g)(judged, g)
            g = g - rate_g * slope_g
            d = d - self.both * rate_d * through
            left_d, left_g = self.keep_d * (slope_d + through), self.keep_g * slope_g
            states.append(cat([g.flatten(), d.flatten()]))
        return states


@exercise
def check_train_step(answer: Callable) -> None:
    """(G, D, opt_g, opt_d, x (N, 3), z (N, 2)) -> None: a D step on d_loss with fakes G(z), then a
    non-saturating G step, same z, updated D.
    """

    def played(g: Tensor, d: Tensor, x: Tensor, z: Tensor, rate_g: float, rate_d: float) -> Any:
        """The numbers of both networks after each of two steps of the answer."""
        G, D = player(g, nn.Tanh()), player(d, nn.Flatten(0))
        opt_g, opt_d = _SGD(G.parameters(), rate_g), _SGD(D.parameters(), rate_d)
        states = []
        for data, code in zip(x, z, strict=True):
            if isinstance(answer(G, D, opt_g, opt_d, data, code), str):
                raise Refusal("returns a text; nothing is to be returned")
            parameters = [*G.parameters(), *D.parameters()]
            if not (G.training and D.training and all(p.requires_grad for p in parameters)):
                raise Refusal(
                    "changes the mode (train or eval) or requires_grad of a network; set it back"
                )
            if data.requires_grad or code.requires_grad:
                raise Refusal("changes requires_grad of an argument; set it back")
            layers = G[0].parameters(), D[0].parameters()
            numbers = [_cat([w, b[:, None]], 1).flatten().detach() for w, b in layers]
            states.append(_cat(numbers))
        return _stack(states)

    def probe(d: Draw, n: int, rate_g: float, rate_d: float) -> tuple:
        g, x = d.uniform(-1, 1, 3, 3), d.uniform(-1, 2, 2, n, 3)
        return g, d.uniform(-1, 1, 1, 4), x, d.uniform(-2, 2, 2, n, 2), rate_g, rate_d

    judge(
        played,
        {
            "4 samples": drawn(probe, 4, 0.3, 0.5, dtype=double),
            "1 sample": drawn(probe, 1, 0.5, 0.3, dtype=double),
            "6 samples": drawn(probe, 6, 0.4, 0.4),
        },
        Game(),
        {
            "D has not moved: does its optimiser step?": Game(lambda r, f: 0 * d_loss(r, f)),
            "G has not moved: does its optimiser step?": Game(g_of=lambda f: 0 * g_loss(f)),
            "G moves first; D has the first step": Game(first=True),
            "G is judged by the old D; it meets the D that has just moved": Game(old=True),
            "D climbs its loss; it should descend": Game(lambda r, f: -d_loss(r, f)),
            "G climbs its loss; it should descend": Game(g_of=lambda f: -g_loss(f)),
            "the loss of G is the saturating one": Game(g_of=lambda f: -g_loss(-f)),
            "a loss is summed over the samples; take means": (
                Game(lambda r, f: len(r) * d_loss(r, f)),
                Game(g_of=lambda f: len(f) * g_loss(f)),
            ),
            "gradients that were left over move a network; set them to zero": (
                Game(keep_d=True),
                Game(keep_g=True),
            ),
            "the gradient of D's loss leaks into G": Game(leak=True, keep_g=True),
            "G's loss moves D, too: each optimiser moves its own network": Game(both=True),
        },
        "the networks do not end where one step of D on d_loss, then one step of G on -mean log "
        "sigma(D(G(z))) with the same z and the D that has just moved, lead",
    )


# ---------------------------------------------------------------- densities


def densities(sums: bool) -> dict[str, tuple]:
    """Pairs of densities; with `sums` each sums to 1."""

    def pair(d: Draw, k: int) -> tuple:
        p, q = d.uniform(0.05, 1, k), d.uniform(0.05, 1, k)
        return (p / p.sum(), q / q.sum()) if sums else (3 * p, q)

    gaps = tensor([0.5, 0, 0.25, 0.25, 0]), tensor([0, 0, 0.75, 0, 0.25])
    tiny = [[1e-9, 1 - 1e-9, 0], [3e-9, 0.5, 0.5 - 3e-9]]
    return {
        "five places": drawn(pair, 5),
        "eight places in double precision": drawn(pair, 8, dtype=double),
        "places where one is 0, or both are": gaps,
        "nothing in common": (tensor([1.0, 0]), tensor([0, 1.0])),
        "q = p": (tensor([0.2, 0.8]), tensor([0.2, 0.8])),
        "one place": (tensor([1.0]), tensor([1.0])),
        "very small densities": tuple(tensor(tiny, dtype=double)),
    }


@exercise
def check_optimal_discriminator(answer: Callable) -> None:
    """(p (K,), q (K,) densities, may be 0) -> (K,): p / (p + q), 1/2 where both are 0."""

    def best(p: Tensor, q: Tensor, *, empty: float = 0.5) -> Tensor:
        return where(p + q == 0, empty, p / (p + q))

    judge(
        answer,
        densities(sums=False),
        best,
        {
            "where both densities are 0 it should be 1/2": lambda p, q: best(p, q, empty=0),
            "data and generator are exchanged": lambda p, q: best(q, p),
            "this is p / q; the denominator has both": lambda p, q: where(q == 0, 0.5, p / q),
            "D is 1/2 only at the equilibrium, where q = p": lambda p, q: full_like(p, 0.5),
        },
        "the values are not p / (p + q), place by place (small densities count like large ones)",
    )


@exercise
def check_jsd(answer: Callable) -> None:
    """(p (K,), q (K,) sum 1, may contain 0) -> scalar: Jensen-Shannon divergence in nats."""

    def kl(p: Tensor, q: Tensor) -> Tensor:
        return (xlogy(p, p) - xlogy(p, q)).sum()

    def jsd(p: Tensor, q: Tensor) -> Tensor:
        return (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2

    judge(
        answer,
        densities(sums=True),
        jsd,
        {
            "the two divergences are added; each counts one half": lambda p, q: 2 * jsd(p, q),
            "the logarithm is to base 2; take nats": lambda p, q: jsd(p, q) / math.log(2),
            "this is the root of it, a distance": lambda p, q: jsd(p, q).sqrt(),
            "this is the value of the game": lambda p, q: 2 * jsd(p, q) - math.log(4),
            "only the side of p is there": lambda p, q: kl(p, (p + q) / 2),
            "p and q are compared with their sum": lambda p, q: jsd(p, q) - math.log(2),
        },
        "the value is not 1/2 KL(p || m) + 1/2 KL(q || m) with m = (p + q) / 2",
    )


@exercise
def check_modes_covered(answer: Callable) -> None:
    """(samples (N, 2), centers (K, 2), radius, min_count) -> int: modes with at least min_count
    samples within radius.
    """

    def count(distance: Callable = cdist, enough: Callable = Tensor.ge) -> Callable:
        return lambda s, c, r, m: int(enough((distance(s, c) <= r).sum(0), m).sum())

    def nearest(s: Tensor, c: Tensor, r: float, m: int) -> int:
        return int((bincount(cdist(s, c).argmin(1), minlength=len(c)) >= m).sum())

    modes = count()
    slips: dict[str, Callable] = {
        "at least min_count samples suffice": count(enough=Tensor.gt),
        "min_count is ignored": lambda s, c, r, m: modes(s, c, r, 1),
        "the squared distance is compared with the radius": count(lambda s, c: cdist(s, c) ** 2),
        "that is a square, not a disc": count(lambda s, c: cdist(s, c, p=math.inf)),
        "the distance is not |dx| + |dy|": count(lambda s, c: cdist(s, c, p=1)),
        "the radius is ignored": nearest,
        "this counts the modes that are lost": lambda *v: len(v[1]) - modes(*v),
        "this counts samples, not modes": lambda s, c, r, m: (cdist(s, c) <= r).any(1).sum(),
        "this is the share of the modes": lambda *v: modes(*v) / len(v[1]),
        "all modes are counted": lambda *v: len(v[1]),
    }

    def cloud(d: Draw, n: int, k: int, radius: float, enough: int) -> tuple:
        return d.uniform(-2, 2, n, 2), d.uniform(-2, 2, k, 2), radius, enough

    def telling(*given: Any) -> bool:
        """Each slip gives another number."""
        values = {float(slip(*given)) for slip in (modes, *slips.values())}
        return len(values) == len(slips) + 1

    corners = [[0.9, 0.9], [-0.9, 0.9], [0.9, -0.9], [5, 5.3], [5, 4.7], [-4, 0], [-4.6, 0]]
    four = tensor([[0, 0], [5, 5], [-4.3, 0], [9, 9]])
    pair, centres = tensor([[0, 0], [0.1, 0]]), tensor([[0, 0.1], [0, -0.1]])
    judge(
        answer,
        {
            "ninety samples and forty modes": drawn(cloud, 90, 40, 0.6, 6, clear=telling),
            "double precision": drawn(cloud, 80, 7, 0.9, 9, dtype=double),
            "one sample and one mode": (tensor([[0.5, 0]]), tensor([[0.0, 0]]), 1.0, 1),
            "samples in the corners of a square, exactly min_count near a mode": (
                tensor(corners),
                four,
                1.0,
                2,
            ),
            "a radius above 1": drawn(cloud, 50, 6, 1.6, 14),
            "no mode covered": (tensor([[8.0, 8], [-8, 8]]), tensor([[0.0, 0], [1, -2]]), 0.5, 1),
            "two modes covered by the same samples": (pair, centres, 0.5, 2),
        },
        modes,
        slips,
        "the number is not that of the modes with at least min_count samples within radius",
    )


# ---------------------------------------------------------------- the slope of a critic


@dataclass(frozen=True, eq=False)
class Critic:
    """sum_i a_i x_i + b/2 |x|^2 for rows (N, D); its gradient in x is a + b x."""

    a: Tensor
    b: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        return (self.a * x + 0.5 * self.b * x * x).sum(1)


@exercise
def check_slope_penalty(answer: Callable) -> None:
    """(critic: (N, D) -> (N,), x (N, D)) -> scalar: mean over samples of (|grad critic| - 1)^2,
    differentiable in the critic's weights.
    """

    def of_slopes(penalty: Callable) -> Callable:
        return lambda critic, x: penalty(critic.a + critic.b * x)

    def of_length(term: Callable) -> Callable:
        return of_slopes(lambda s: term(s.norm(dim=1)).mean())

    def weight_slope(a: Tensor, x: Tensor) -> Any:
        found = slope(answer(Critic(a), x), a)
        if found is None:
            raise Refusal(
                "no gradient reaches the weights of the critic: is create_graph=True missing?"
            )
        return found

    def probe(d: Draw, n: int, i: int, b: float) -> tuple:
        return Critic(d.uniform(-2, 2, i), b), d.uniform(-2, 2, n, i)

    gentle = Critic(tensor([0.1, -0.2]), 0.05), tensor([[0.3, 0.4], [-1, 2], [0, 0]])
    a, points = tensor([1.2, -1.6, 0], requires_grad=True), tensor([[0.5, 1, 0], [-1, 0.3, 2]])
    wanted = (2 * (a.norm() - 1) * a / a.norm()).tolist()
    judge(
        answer,
        {
            "a bent critic": drawn(probe, 5, 2, 1.5),
            "a straight critic": drawn(probe, 4, 3, 0.0),
            "one sample": drawn(probe, 1, 4, 0.7),
            "as many samples as dimensions": drawn(probe, 3, 3, -0.6),
            "a gentle critic": gentle,
            "one dimension": drawn(probe, 6, 1, 0.4),
        },
        of_length(lambda v: (v - 1) ** 2),
        {
            "the length less 1 is not squared": of_length(lambda v: v - 1),
            "slopes below 1 are penalised, too": of_length(lambda v: (v - 1).relu() ** 2),
            "the penalty pulls the slope to 0, not to 1": of_length(lambda v: v**2),
            "the squared length is compared with 1": of_length(lambda v: (v**2 - 1) ** 2),
            "the samples are summed": of_slopes(lambda s: ((s.norm(dim=1) - 1) ** 2).sum()),
            "one length is taken for the whole batch": of_slopes(lambda s: (s.norm() - 1) ** 2),
            "each coordinate is compared with 1": of_slopes(lambda s: ((s - 1) ** 2).mean()),
        },
        "the value is not the mean of (length of the gradient - 1)^2",
    )
    judge(
        weight_slope,
        {"a critic whose weights learn": (a, points)},
        lambda a, x: wanted,
        {},
        "the gradient in the critic's weights is wrong: is create_graph=True missing?",
    )
