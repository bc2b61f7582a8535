"""LIME and Shapley values: the score of an input of which only some parts are present, explained by
a sum over parts.

A part is a player: one feature, or all features of a region of an image, or a word. A coalition
says which players are present; those that are absent show a baseline in their place.
"""

import math

import torch
from torch import Tensor, nn

from ..engine.contract import check_arguments, undisturbed
from .perturbation import filling, scores_of_many, start, whole

MOST_EXACT = 12  # players: 4,096 coalitions


def lime(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    regions: Tensor | None = None,
    samples: int = 200,
    width: float = 0.75,
    baseline: float | Tensor = 0.0,
    seed: int = 0,
) -> Tensor:
    """The linear model nearest to the network among inputs that lack some parts (Ribeiro et al.,
    2016, eq. 1 and 2).

    Draws coalitions z in {0, 1}^P, each player present with probability 1/2, and fits w_0 + w z to
    f_c(x_z) by weighted least squares, weight exp(-|1 - z|^2 / sigma^2) with sigma = width *
    sqrt(P).

    Parameters
    ----------
    model, x, target : as for `lib.lrp.lrp`; x may also hold word numbers (N, T).
    regions : whole numbers 0..P-1, the player of each feature, of any shape that can be broadcast
        to x: (H, W) for images, (T, 1) for embedded words. None: every feature is a player.
    samples : coalitions, the same for all inputs. With fewer than P + 1 the smallest of all best
        weights is returned.
    width : of the neighbourhood.
    baseline : what stands in the place of an absent player: a number, or broadcast to x.
    seed : of the drawing.

    Returns
    -------
    Tensor like x, detached: the weight of each player, shared out equally among its features, so
    that sums keep their meaning.
    Raises TypeError or ValueError: a bad argument, by name.

    Example
    -------
    >>> model = nn.Linear(3, 1)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, -1.0, 2.0]]))
    >>> lime(model, torch.tensor([[1.0, 2.0, 4.0]])).round(decimals=3)
    tensor([[ 1., -2.,  8.]])
    """
    whole("samples", samples, 2)
    if not width > 0:
        raise ValueError(f"width: expected a positive number, got {width}")
    game = Game(model, x, target, regions, baseline)
    generator = torch.Generator().manual_seed(whole("seed", seed))
    z = torch.rand(samples, game.players, generator=generator) < 0.5
    absent = (~z).sum(1).double()
    weights = torch.exp(-absent / (width**2 * game.players))
    return game.hand_out(least_squares(z.double(), game.values(z), weights))


def shapley(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    regions: Tensor | None = None,
    method: str = "kernel",
    samples: int = 200,
    baseline: float | Tensor = 0.0,
    seed: int = 0,
) -> Tensor:
    """Shapley values: each player's contribution, averaged over all orders in which players can
    come in (Shapley, 1953).

    R_i = sum over S without i of |S|! (P - |S| - 1)! / P! * (v(S + i) - v(S)), v(S) = f_c(x with
    the players S only). The sum over all features is f_c(x) - f_c(baseline), whatever the method.

    Parameters
    ----------
    model, x, target, regions, baseline, seed : as for `lime`.
    method : "exact", all 2^P coalitions of at most 12 players; "sampled", orders drawn at random
        (Castro et al., 2009); "kernel", a weighted linear fit over coalitions drawn with their
        complements (Lundberg and Lee, 2017, theorem 2), which is exact if `samples` allows for all
        2^P - 2.
    samples : network runs that "sampled" and "kernel" may take for each input, about.

    Returns
    -------
    Tensor like x, detached: the value of each player, shared out equally among its features.
    Raises TypeError or ValueError: a bad argument, by name; too many players for "exact".

    Example
    -------
    >>> class Product(nn.Module):
    ...     def forward(self, x):
    ...         return x.prod(1, keepdim=True)
    >>> shapley(Product(), torch.tensor([[2.0, 3.0]]), method="exact")
    tensor([[3., 3.]])
    """
    whole("samples", samples, 1)
    ways = {"exact": _exact, "sampled": _sampled, "kernel": _kernel}
    if method not in ways:
        raise ValueError(f'method: expected "exact", "sampled" or "kernel", got {method!r}')
    game = Game(model, x, target, regions, baseline)
    if method == "exact" and game.players > MOST_EXACT:
        raise ValueError(
            f'method: "exact" takes at most {MOST_EXACT} players, got {game.players}; take '
            f'"kernel" or "sampled", or larger regions'
        )
    way = ways["exact" if game.players == 1 else method]
    return game.hand_out(way(game, samples, torch.Generator().manual_seed(whole("seed", seed))))


class Game:
    """One input each for N games with the same P players; `values` plays coalitions."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        target: int | Tensor | None,
        regions: Tensor | None,
        baseline: float | Tensor,
    ) -> None:
        check_arguments(model, x, words=True)
        self.model, self.x, self.baseline = model, x.detach(), filling("baseline", baseline, x)
        self.player_of, self.players = _players(x, regions)  # (1 or N, ...), P
        with undisturbed(model, x), torch.no_grad():
            scores, self.chosen = start(model, x, target)
        self.dtype = scores.dtype

    def values(self, z: Tensor) -> Tensor:
        """v of each coalition: z (M, P) bool to float64 (M, N)."""
        present = z.to(self.x.device)

        def absent_replaced(which: slice, rows: slice) -> Tensor:
            own = self.player_of[rows] if len(self.player_of) > 1 else self.player_of
            return torch.where(present[which][:, own], self.x[rows], self.baseline[rows])

        with undisturbed(self.model, self.x), torch.no_grad():
            return scores_of_many(self.model, self.x, self.chosen, len(z), absent_replaced).double()

    def hand_out(self, worth: Tensor) -> Tensor:
        """A number for each player (P, N) to a tensor like x: equal parts for all features of a
        player.
        """
        number = self.player_of.expand_as(self.x).flatten(1)
        size = worth.new_zeros(len(number), self.players, device=number.device)
        size.scatter_add_(1, number, torch.ones_like(number, dtype=worth.dtype))
        return (worth.T / size.clamp(min=1)).gather(1, number).view_as(self.x).to(self.dtype)


def least_squares(z: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """The w (P, N) of the best w_0 + z w: z (M, P), values (M, N), weights (M,), float64. Of
    several best ones the smallest.
    """
    z, weights = z.to(values), weights.to(values)[:, None] / weights.sum().to(values)
    centred = z - (weights * z).sum(0)
    inverse = torch.linalg.pinv(centred.T @ (weights * centred), hermitian=True)
    return inverse @ (centred.T @ (weights * values))


def all_coalitions(players: int) -> Tensor:
    """Every coalition once: bool (2^P, P); row k holds the binary digits of k."""
    return (torch.arange(2**players)[:, None] >> torch.arange(players)) % 2 == 1


def _players(x: Tensor, regions: Tensor | None) -> tuple[Tensor, int]:
    if regions is None:
        return torch.arange(x[0].numel(), device=x.device).view(1, *x.shape[1:]), x[0].numel()
    whole_numbers = (torch.long, torch.int, torch.short, torch.uint8)
    if not isinstance(regions, Tensor) or regions.dtype not in whole_numbers:
        raise TypeError(
            f"regions: expected a tensor of whole numbers, got "
            f"{getattr(regions, 'dtype', type(regions).__name__)}"
        )
    of_its_own = regions.dim() == x.dim() and len(regions) > 1  # each sample has
    try:
        wide = torch.broadcast_to(regions, x.shape if of_its_own else (1, *x.shape[1:]))
    except RuntimeError:
        raise ValueError(
            f"regions: expected a shape that can be broadcast to {tuple(x.shape)}, got "
            f"{tuple(regions.shape)}"
        ) from None
    if wide.min() < 0:
        raise ValueError(f"regions: expected players 0, 1, 2, ..., got {int(wide.min())}")
    return wide.to(x.device, torch.long), int(wide.max()) + 1


def _exact(game: Game, samples: int, generator: torch.Generator) -> Tensor:
    P = game.players
    z = all_coalitions(P)
    size = z.sum(1)
    f = [math.factorial(k) for k in range(P + 1)]
    joins = [f[max(s - 1, 0)] * f[P - s] / f[P] for s in range(P + 1)]
    stays = [f[s] * f[max(P - s - 1, 0)] / f[P] for s in range(P + 1)]
    # v(S) counts for its members, against the others
    own, others = (torch.tensor(w, dtype=torch.float64)[size][:, None] for w in (joins, stays))
    weights = torch.where(z, own, -others)
    values = game.values(z)
    return weights.T.to(values.device) @ values


def _sampled(game: Game, samples: int, generator: torch.Generator) -> Tensor:
    P = game.players
    count = max(1, samples // (P - 1))
    orders = torch.stack([torch.randperm(P, generator=generator) for _ in range(count)])
    place = orders.argsort(1)  # when each player comes in
    # (orders, P - 1, P): after 1, 2, ... P - 1 players have come
    z = place[:, None] < torch.arange(1, P)[:, None]
    ends = game.values(torch.tensor([[False] * P, [True] * P]))
    inner = game.values(z.flatten(0, 1)).view(count, P - 1, -1)
    empty, full = (end.expand(count, 1, -1) for end in ends)
    steps = torch.cat([empty, inner, full], 1).diff(dim=1)
    return steps.gather(1, place.to(steps.device)[..., None].expand_as(steps)).mean(0)


def _kernel(game: Game, samples: int, generator: torch.Generator) -> Tensor:
    P = game.players
    empty, full = game.values(torch.tensor([[False] * P, [True] * P]))
    sizes = torch.arange(1, P, dtype=torch.float64)
    # of all coalitions of a size, in the kernel (P - 1) / (binomial(P, s) s (P - s))
    mass = 1 / (sizes * (P - sizes))
    if P <= 20 and 2**P - 2 <= samples:
        z = all_coalitions(P)[1:-1]
        weights = torch.stack([mass[s - 1] / math.comb(P, s) for s in z.sum(1).tolist()])
    else:
        half = max(samples // 2, 1)
        size = torch.multinomial(mass, half, replacement=True, generator=generator) + 1
        place = torch.rand(len(size), P, generator=generator).argsort(1).argsort(1)
        z = place < size[:, None]
        z = torch.cat([z, ~z])  # a coalition and its complement: errors of even order cancel
        weights = torch.ones(len(z), dtype=torch.float64)
    # The values must sum to full - empty: the last player's is what the others leave, so P - 1
    # unknowns remain.
    values = game.values(z) - empty
    z, weights = z.double().to(values.device), weights.to(values.device)[:, None]
    others, rest = z[:, :-1] - z[:, -1:], values - z[:, -1:] * (full - empty)
    inverse = torch.linalg.pinv(others.T @ (weights * others), hermitian=True)
    worth = inverse @ (others.T @ (weights * rest))
    return torch.cat([worth, (full - empty - worth.sum(0))[None]])
