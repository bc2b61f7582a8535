"""The checks of the exercises on variational autoencoders."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, autograd, cat, float32, float64, nn, optim, stack, tensor, zeros_like
from torch.nn.functional import softplus

from ._helpers import (
    Draw,
    Refusal,
    close,
    drawn,
    exercise,
    flat,
    judge,
    judge_draws,
    slope,
    standard,
)

CONSTANT = math.log(2 * math.pi) / 2  # of -log N(x; xhat, 1)
# bound here, whatever an answer does to torch
_requires_grad, _gradient, _SGD = Tensor.requires_grad_, autograd.grad, optim.SGD
_cat, _stack = cat, stack


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """The divergence from N(0, 1), of each number."""
    return (mu**2 + logvar.exp() - 1 - logvar) / 2


def codes(d: Draw, n: int, i: int) -> tuple:
    return d.uniform(-2, 2, n, i), d.uniform(-2, 1.5, n, i)


@exercise
def check_kl_std_normal(answer: Callable) -> None:
    """(mu (N, D), logvar (N, D)) -> (N,): KL(N(mu, diag exp logvar) || N(0, I))."""
    extreme = tensor([[200.0, -3], [0.5, -200]]), tensor([[-30.0, 2], [0, -80]])
    judge(
        answer,
        standard(lambda d, n, i: codes(d, n, i), size=1)
        | {"q = N(0, I)": (tensor([[0.0, 0]] * 3), tensor([[0.0, 0]] * 3))}
        | {"a tiny variance and means of 200": extreme},
        lambda m, v: kl(m, v).sum(1),
        {
            "the factor 1/2 is missing": lambda m, v: 2 * kl(m, v).sum(1),
            "the terms are averaged over the D dimensions": lambda m, v: kl(m, v).mean(1),
            "logvar is taken for that of the standard deviation": lambda m, v: kl(m, 2 * v).sum(1),
            "the variance is exp(logvar)": lambda m, v: (m**2 + (v / 2).exp() - 1 - v).sum(1) / 2,
            "the -1 is missing": lambda m, v: (kl(m, v) + 0.5).sum(1),
            "it is turned the other way": lambda m, v: ((1 + m**2) / v.exp() - 1 + v).sum(1) / 2,
        },
        "the values are not 1/2 sum of mu^2 + exp(logvar) - 1 - logvar, sample by sample",
    )


@exercise
def check_reparameterize(answer: Callable) -> None:
    """(mu (N, D), logvar (N, D)) -> (N, D): one draw per row, dz/dmu = 1, dz/dlogvar = (z - mu) /
    2.
    """

    def tangent(means: Tensor, logvars: Tensor) -> Callable:
        """Judges the derivatives of a draw."""
        centre = list(flat(means.tolist()))

        def judged(z: Any, values: Any) -> None:
            noise = [v - m for v, m in zip(flat(values), centre, strict=True)]
            if not any(noise):
                raise AssertionError("no noise is added: the result is mu itself")
            wanted = [1.0] * len(noise), [v / 2 for v in noise]
            for of, right, name in zip((means, logvars), wanted, ("mu", "logvar"), strict=True):
                found = slope(z, of)
                if found is None:
                    raise AssertionError(
                        f"no gradient reaches {name}: the draw is detached from it"
                    )
                if not close(list(flat(found)), right, 1e-3):
                    raise AssertionError(
                        "the gradient is wrong: dz/dmu = 1 and dz/dlogvar = (z - mu)/2"
                    )

        return judged

    mu, logvar = tensor([[1.5, -200, 0]]), tensor([[1, -1.5, 0]])
    cases: list[Any] = []
    for rows, seeds, dtype in ((1000, [1, 2], float32), (1, [5], float32), (3, [6], float64)):
        given = tuple(_requires_grad(v.repeat(rows, 1).to(dtype)) for v in (mu, logvar))
        cases.append((given, given[0], given[1].exp(), f"{rows} rows", seeds, tangent(*given)))
    for *case, seeds, each in cases:
        judge_draws(answer, *case, seeds=seeds, normal=True, each=each)


@exercise
def check_neg_elbo(answer: Callable) -> None:
    """(x (N, ...), xhat (N, ...), mu (N, D), logvar (N, D)) -> scalar: batch mean of -log N(x;
    xhat, I) + KL, constant kept or dropped.
    """

    def bound(term: Callable, constant: float = 0) -> Callable:
        """The mean of a term of the squared error and the divergence of each sample."""

        def result(x: Tensor, xhat: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
            e, k, pixels = ((x - xhat) ** 2).flatten(1).sum(1), kl(mu, logvar).sum(1), x[0].numel()
            return (term(e, k, pixels, mu.shape[1]) + constant * pixels).mean()

        return result

    def either(term: Callable) -> tuple:
        return bound(term), bound(term, CONSTANT)

    def make(d: Draw, n: int, i: int, *sizes: int, high: float = 1) -> tuple:
        x, xhat = d.uniform(-high, high, n, *sizes), d.uniform(-high, high, n, *sizes)
        return x, xhat, *codes(d, n, i)

    x, _, mu, logvar = drawn(make, 2, 3, 4)
    right, with_constant = either(lambda e, k, p, d: e / 2 + k)
    judge(
        answer,
        {
            "several images in double precision": drawn(make, 4, 5, 1, 3, 2, dtype=float64),
            "one image that is not square": drawn(make, 1, 3, 1, 2, 5),
            "rows of features": drawn(make, 3, 2, 7),
            "values of 200": drawn(lambda d: make(d, 2, 4, 3, 3, high=200), dtype=float64),
            "a perfect reconstruction": (x, x.clone(), mu, logvar),
        },
        right,
        {
            "the factor 1/2 of the squared error is missing": either(lambda e, k, p, d: e + k),
            "the squared error is averaged over pixels; it is summed": (
                *either(lambda e, k, p, d: e / p + k),
                *either(lambda e, k, p, d: e / p / 2 + k),
            ),
            "the KL term is averaged over the codes": either(lambda e, k, p, d: e / 2 + k / d),
            "the KL term has the wrong sign": either(lambda e, k, p, d: e / 2 - k),
            "the KL term is missing": either(lambda e, k, p, d: e / 2),
            "the reconstruction is missing": either(lambda e, k, p, d: k),
            "the batch is summed; take the mean": lambda *v: len(v[0]) * right(*v),
        },
        "the value is not the batch mean of 1/2 sum (x - xhat)^2 + KL",
        also=with_constant,
    )


@exercise
def check_bernoulli_nll(answer: Callable) -> None:
    """(x (N, ...) in [0, 1], logits (N, ...)) -> (N,): -log p(x|z), summed over pixels."""

    def summed(term: Callable) -> Callable:
        return lambda x, l: term(x, l).flatten(1).sum(1)

    def nll(x: Tensor, l: Tensor) -> Tensor:
        return softplus(l) - l * x

    def make(d: Draw, *sizes: int) -> tuple:
        return (d.uniform(0, 1, *sizes) > 0.4).to(d.dtype), d.uniform(-3, 3, *sizes)

    def grey(d: Draw, *sizes: int) -> tuple:
        return d.uniform(0, 1, *sizes), d.uniform(-3, 3, *sizes)

    x = tensor([[0, 1, 0, 1], [0.3, 0, 1, 1]])
    equation = summed(nll)
    judge(
        answer,
        {
            "several rows of grey pixels in double precision": drawn(grey, 4, 6, dtype=float64),
            "one image that is not square": drawn(make, 1, 1, 2, 5),
            "as many images as rows and columns": drawn(make, 3, 3, 3),
            "logits of +-200, right and wrong": (
                x,
                tensor([[200.0, -200, -200, 200], [0, 0, 1, -200]]),
            ),
        },
        equation,
        {
            "the pixels are averaged; they are summed": lambda x, l: nll(x, l).flatten(1).mean(1),
            "black and white are exchanged": lambda x, l: equation(1 - x, l),
            "only the pixels with x = 1 count here": summed(lambda x, l: x * softplus(-l)),
            "the logits have gone through a sigmoid twice": lambda x, l: equation(x, l.sigmoid()),
            "the logarithm is to base 2; take nats": lambda x, l: equation(x, l) / math.log(2),
        },
        "the values are not -log p(x|z) of Bernoulli pixels, summed image by image, exact also "
        "where a logit is +-200 (nothing is cut off)",
    )


@exercise
def check_elbo_mc(answer: Callable) -> None:
    """(log_joint (M, D) -> (M,), mu (D,), logvar (D,), M) -> scalar: 1/M sum_m log p(x, z_m) - log
    q(z_m), z_m ~ q.
    """

    def normal(centre: Tensor, logvar: Tensor) -> Callable:
        """log N(z; centre, exp logvar) + 0.7."""
        constant = (logvar / 2 + CONSTANT).sum()
        return lambda z: 0.7 - ((z.double() - centre) ** 2 / logvar.exp()).sum(-1) / 2 - constant

    mu, logvar = tensor([0.4, -1.2, 1], dtype=float64), tensor([0.5, -1, -0.3], dtype=float64)
    leaves = [_requires_grad(v.clone()) for v in (mu, logvar)]
    two_pi, cases = len(mu) * CONSTANT, []
    for point, M, seed in (([0.5, -1, 0.2], 1, 3), ([0.5, -1, 0.2], 16, 4), ([-1, 1.5, 0], 4, 5)):
        centre = tensor(point, dtype=float64)
        d, s2 = mu - centre, logvar.exp()
        mean = 0.7 + (logvar + 1 - s2 - d**2).sum() / 2
        variance = (d**2 * s2 + (1 - s2) ** 2 / 2).sum() / M
        cases.append((normal(centre, zeros_like(mu)), M, seed, mean, variance, (-d).tolist()))
    exact = normal(mu, logvar)  # q is the posterior itself: every term is 0.7
    judge(
        lambda mu, logvar, M: answer(exact, mu, logvar, M),
        {f"q the exact posterior, M = {M}": (mu, logvar, M) for M in (5, 1)},
        lambda mu, logvar, M: 0.7,
        {
            "the M terms are summed; take their mean": lambda mu, logvar, M: 0.7 * M,
            "the constant D/2 log 2 pi of log q is missing": lambda *v: 0.7 - two_pi,
            "the term -1/2 logvar of log q is missing": lambda mu, v, M: 0.7 - v.sum() / 2,
            "log q misses -1/2 logvar, -D/2 log 2 pi": lambda mu, v, M: 0.7 - two_pi - v.sum() / 2,
        },
        "with q the exact posterior every term is log p(x): log q(z) or the draw is wrong",
        tolerance=5e-4,
    )
    for log_joint, M, seed, mean, variance, tilt in cases:
        slopes: list[list[float]] = []

        def keep(result: Any, values: Any, slopes: list = slopes) -> None:
            found = slope(result, leaves[0])
            if found is None:
                raise AssertionError("no gradient reaches mu: the draws are detached from it")
            slopes.append(found)

        judge_draws(
            answer,
            (log_joint, *leaves, M),
            mean,
            variance,
            f"another q, M = {M}",
            seeds=[seed],
            calls=150,
            copies=M,
            excess=12 / M,
            each=keep,
        )
        for column, wanted in zip(zip(*slopes, strict=True), tilt, strict=True):
            average = sum(column) / len(column)
            spread = sum((v - average) ** 2 for v in column) / len(column) ** 2
            if abs(average - wanted) > 5 * math.sqrt(spread) + 1e-3:
                raise AssertionError(
                    "the mean gradient in mu is wrong: let it flow through z = mu + "
                    "exp(logvar / 2) eps"
                )


@exercise
def check_iw_bound(answer: Callable) -> None:
    """(log_joint (K, N), log_q (K, N)) -> (N,): log 1/K sum_k exp(log_joint - log_q)."""

    def equation(joint: Tensor, q: Tensor) -> Tensor:
        return (joint - q).logsumexp(0) - math.log(len(joint))

    def make(d: Draw, k: int, n: int) -> tuple:
        return d.uniform(-4, 1, k, n), d.uniform(-3, 2, k, n)

    joint, q = drawn(make, 3, 2, dtype=float64)
    judge(
        answer,
        standard(make, size=1)
        | {"one code": drawn(make, 1, 4), "one sample": drawn(make, 6, 1)}
        | {"log p(x, z) near -2000, where exp gives 0": (joint - 2000, q)}
        | {"log p(x, z) near 2000, where exp overflows": (joint + 2000, q)}
        | {"one sample near -2000, one near 2000": (joint + tensor([-2000.0, 2000]), q)},
        equation,
        {
            "the K weights are summed: log K is missing": lambda joint, q: (joint - q).logsumexp(0),
            "this is the plain bound, a mean of logarithms": lambda joint, q: (joint - q).mean(0),
            "the best of the K weights is taken": lambda joint, q: (joint - q).max(0).values,
            "log q is added; a weight is p / q": lambda joint, q: equation(joint, -q),
            "the weight is turned round; it is p / q": lambda joint, q: equation(q, joint),
            "it averages over samples, not over codes": lambda joint, q: equation(joint.T, q.T),
        },
        "the values are not log of the mean over k of p / q, sample by sample",
    )


# ---------------------------------------------------------------- training


def layer_of(values: Tensor) -> nn.Linear:
    """A dense layer with the weights and, in the last column, the biases."""
    layer = nn.utils.skip_init(nn.Linear, values.shape[1] - 1, len(values), dtype=values.dtype)
    layer.load_state_dict({"weight": values[:, :-1], "bias": values[:, -1]})
    return layer


def through(values: Tensor, x: Tensor) -> Tensor:
    return x @ values[:, :-1].T + values[:, -1]


@exercise
def check_vae_step(answer: Callable) -> None:
    """(encoder, decoder, optimiser, x (N, 3), noise (N, 2)) -> None: one step of the optimiser on
    the mean of half the squared error, summed over the pixels, plus the divergence.
    """

    def played(e: Tensor, d: Tensor, x: Tensor, noise: Tensor, rate: float) -> Any:
        """The numbers of both networks after each of two steps of the answer."""
        encoder, decoder = layer_of(e), layer_of(d)
        both = [*encoder.parameters(), *decoder.parameters()]
        optimiser, states = _SGD(both, rate), []
        for data, drawn_noise in zip(x, noise, strict=True):
            if isinstance(answer(encoder, decoder, optimiser, data, drawn_noise), str):
                raise Refusal("returns a text; nothing is to be returned")
            if not all(p.requires_grad for p in both) or data.requires_grad:
                raise Refusal("changes requires_grad of a network or an argument; set it back")
            states.append(_cat([p.detach().flatten() for p in both]))
        return _stack(states)

    def trained(
        e: Tensor,
        d: Tensor,
        x: Tensor,
        noise: Tensor,
        rate: float,
        *,
        error: float = 0.5,
        price: float = 1.0,
        over: Callable = lambda loss: loss.mean(),
        spread: float = 0.5,
        still: bool = False,
        kept: float = 0.0,
    ) -> Tensor:
        e, d = e.detach().clone(), d.detach().clone()
        left, states = [0 * e, 0 * d], []
        for data, drawn_noise in zip(x, noise, strict=True):
            e, d = _requires_grad(e.detach()), _requires_grad(d.detach())
            mu, logvar = through(e, data).chunk(2, 1)
            z = mu + (spread * logvar).exp() * drawn_noise
            found = through(d, z.detach() if still else z)
            loss = error * ((data - found) ** 2).sum(1) + price * kl(mu, logvar).sum(1)
            slopes = _gradient(over(loss), (e, d))
            left = [g + kept * old for g, old in zip(slopes, left, strict=True)]
            e, d = (v - rate * g for v, g in zip((e, d), left, strict=True))
            parts = e[:, :-1].flatten(), e[:, -1], d[:, :-1].flatten(), d[:, -1]
            states.append(_cat([part.detach() for part in parts]))
        return _stack(states)

    def slip(**how: Any) -> Callable:
        return lambda *v: trained(*v, **how)

    def probe(d: Draw, n: int, rate: float) -> tuple:
        encoder, decoder = d.uniform(-0.7, 0.7, 4, 4), d.uniform(-1, 1, 3, 3)
        return encoder, decoder, d.uniform(-1, 2, 2, n, 3), d.uniform(-1.5, 1.5, 2, n, 2), rate

    judge(
        played,
        {
            "4 samples": drawn(probe, 4, 0.1, dtype=float64),
            "1 sample": drawn(probe, 1, 0.05, dtype=float64),
            "3 samples": drawn(probe, 3, 0.08),
        },
        trained,
        {
            "nothing has moved: does the optimiser step?": lambda e, d, x, noise, rate: trained(
                e, d, x, noise, 0.0
            ),
            "the loss is summed over the samples; take the mean": slip(over=lambda v: v.sum()),
            "the factor 1/2 of the squared error is missing": slip(error=1.0),
            "the squared error is averaged over the pixels; sum it": slip(error=1 / 6),
            "the divergence is missing": slip(price=0.0),
            "the divergence is averaged over the codes; sum it": slip(price=0.5),
            "it climbs the loss; it should descend": lambda e, d, x, noise, rate: trained(
                e, d, x, noise, -rate
            ),
            "logvar is the logarithm of the variance: its half belongs to sigma": slip(spread=1.0),
            "no gradient reaches the encoder through the code": slip(still=True),
            "the code is mu: the noise is not used": lambda e, d, x, noise, rate: trained(
                e, d, x, 0 * noise, rate
            ),
            "gradients that were left over move the networks; set them to zero": slip(kept=1.0),
        },
        "the networks do not end where one step on the mean of 1/2 |x - xhat|^2 + KL leads",
    )
