"""Deep ensembles whose members are trained and run as one network."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from tqdm.auto import tqdm

from .. import models, training
from ..training import History

_SATURATING = (nn.Tanh, nn.Sigmoid, nn.Softplus)
_RECTIFYING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU)
_ELEMENTWISE = (*_RECTIFYING, *_SATURATING, nn.Identity, nn.Dropout)
# the first gain nothing, the others keep state
_ONE_BY_ONE = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.RNNBase)
_ADAM = partial(torch.optim.Adam, fused=True)  # the same steps, one pass over the weights each
_WEIGHTS = 50_000  # of a member: with more of them, training in turn is as quick
# of the widest layer, all members together: few enough to stay in the processor's cache
_VALUES = 200_000
# rows, and rows of a pass times weights of a member: with more, one member after the other is as
# quick
_MANY, _LARGE = 2_000, 2**23


class Ensemble(nn.Module):
    """M networks of one architecture, each from a seed of its own (Lakshminarayanan et al., 2017).

    make: a seed to a new nn.Module; it is called with seed, ..., seed + members - 1, and what it
        draws from torch's global random state depends on these alone.
    members: M.
    vectorised: run and train all members at once, where that is quicker.

    The members' weights are stacked: each parameter of `stacked` has a first axis M. Dense layers
    in nn.Sequential run as batched products of matrices, other networks by `torch.func.vmap`. Those
    with convolutions, batch normalisation or recurrent layers, and all with vectorised=False, run
    one member after the other; so are large ones trained.
    Raises TypeError or ValueError if there is no member, or if they differ in more than their
    weights.

    >>> ensemble = Ensemble(lambda seed: models.mlp(2, (8,), 3, seed=seed), members=5)
    >>> ensemble(torch.zeros(4, 2)).shape
    torch.Size([5, 4, 3])
    """

    def __init__(
        self, make: Callable[[int], nn.Module], members: int, seed: int = 0, vectorised: bool = True
    ) -> None:
        super().__init__()
        if members < 1:
            raise ValueError(f"members: expected at least 1, got {members}")
        made = [_member(make, seed + k) for k in range(members)]
        _check_alike(made)
        self.members, self.seed = members, seed
        self.stacked = _stacked(made)
        self._one_by_one = not vectorised or any(
            isinstance(module, _ONE_BY_ONE) for module in self.stacked.modules()
        )
        self._size = sum(p.numel() for p in made[0].parameters())
        self._widest = max((len(p) for p in made[0].parameters() if p.ndim), default=1)
        self._fitted_in_turn = self._one_by_one or self._size > _WEIGHTS
        self._parts = None if self._one_by_one else _dense_parts(self.stacked)

    def forward(self, x: Tensor, own: bool = False) -> Tensor:
        """Scores (M, N, K) of x (N, ...), the same for all members, or with own=True of x (M, N,
        ...), to each its own.
        """
        if own or self.training or torch.is_grad_enabled():
            return self._scores(x, own)
        rows = max(1, _VALUES // (self.members * self._widest))
        if self._parts is not None and (len(x) > _MANY or min(len(x), rows) * self._size > _LARGE):
            return torch.stack([_as_one(self._parts, x, m) for m in range(self.members)])
        return torch.cat([self._scores(part, own) for part in x.split(rows)], 1)

    def _scores(self, x: Tensor, own: bool) -> Tensor:
        if self._parts is not None:
            return self._as_matrices(self._parts, x, own)
        parameters = dict(self.stacked.named_parameters())
        buffers = dict(self.stacked.named_buffers())

        def one(parameters: dict, buffers: dict, x: Tensor) -> Tensor:
            return functional_call(self.stacked, (parameters, buffers), (x,))

        if self._one_by_one:
            scores = []
            for m, row in enumerate(zip(*[p.unbind() for p in parameters.values()])):
                kept = {name: b[m] for name, b in buffers.items()}
                scores.append(one(dict(zip(parameters, row)), kept, x[m] if own else x))
            return torch.stack(scores)
        return vmap(one, in_dims=(0, 0, 0 if own else None), randomness="different")(
            parameters, buffers, x
        )

    def _as_matrices(self, parts: list[nn.Module], h: Tensor, own: bool) -> Tensor:
        for layer in parts:
            if isinstance(layer, nn.Flatten):
                h = h.flatten(2 if own else 1)
            elif isinstance(layer, nn.Linear):
                h, own = (_dense(layer, h) if own else _dense_of_all(layer, h)), True
            else:
                h = layer(h)
        return h if own else h.expand(self.members, *h.shape)

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """Class probabilities (M, N, K) in evaluation mode; the mode is as before afterwards."""
        training = [module for module in self.modules() if module.training]
        self.eval()
        try:
            return self(x).softmax(-1)
        finally:
            for module in training:
                module.training = True

    def member(self, index: int) -> nn.Module:
        """A copy of one member, as a network of its own. Raises IndexError if there is none."""
        if not 0 <= index < self.members:
            raise IndexError(f"index: expected 0..{self.members - 1}, got {index}")
        return self._one(index, Tensor.clone)

    def _one(
        self, index: int, taken: Callable[[Tensor], Tensor] = lambda value: value
    ) -> nn.Module:
        """One member, whose weights are rows of the stacks or, with taken=Tensor.clone, copies of
        them.
        """
        rows = {id(b): taken(b.detach()[index]) for b in self.stacked.buffers()}
        rows |= {
            id(p): nn.Parameter(taken(p.detach()[index]), p.requires_grad)
            for p in self.stacked.parameters()
        }
        return copy.deepcopy(self.stacked, rows)  # what `rows` names is taken from there

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        epochs: int = 20,
        learning_rate: float = 3e-3,
        batch: int = 64,
        loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
        weight_decay: float = 0.0,
        bootstrap: bool = False,
        progress: bool = True,
    ) -> History:
        """Fit all members in place: member m as `training.fit` with seed + m would, from the same
        weights; dropout apart.

        x, y: the training set, (N, ...) each.
        loss: a mean over rows.
        bootstrap: each member gets N samples drawn from the set with replacement.

        Afterwards the ensemble is in evaluation mode; the global random state is left as it was.
        Returns the loss of each epoch, a mean over the members.
        Raises ValueError for sets that do not fit, or a loss that is not finite.
        """
        if len(x) != len(y) or len(x) == 0:
            raise ValueError(
                f"x, y: expected the same number of samples, at least one, got {len(x)} and "
                f"{len(y)}"
            )
        if epochs < 1 or batch < 1:
            raise ValueError(f"epochs, batch: expected at least 1, got {epochs} and {batch}")
        seeds = range(self.seed, self.seed + self.members)
        chosen = torch.stack([_resampled(len(x), seed) for seed in seeds]) if bootstrap else None
        if self._fitted_in_turn:
            options: dict[str, Any] = {"epochs": epochs, "batch": batch, "loss": loss}
            options |= {"learning_rate": learning_rate, "weight_decay": weight_decay}
            return self._fit_in_turn(x, y, chosen, progress, options)
        orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        optimizer = _ADAM(self.parameters(), learning_rate, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, epochs * -(-len(x) // batch)
        )
        losses = []
        with torch.random.fork_rng([x.device] if x.is_cuda else []), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.train()
            for _ in tqdm(range(epochs), disable=not progress, leave=False, desc="training"):
                order = torch.stack([torch.randperm(len(x), generator=g) for g in orders])
                order = (order if chosen is None else chosen.gather(1, order)).to(x.device)
                total = 0.0
                for part in order.split(batch, 1):
                    scores = self(x[part], own=True)
                    value = loss(scores.flatten(0, 1), y[part].flatten(0, 1))
                    # the sum of the members' losses: each gets the gradient of its own
                    training.descend(optimizer, value * self.members)
                    schedule.step()
                    total += value.item() * part.shape[1]
                losses.append(total / len(x))
                if not torch.isfinite(torch.tensor(losses[-1])):
                    raise ValueError(
                        f"the loss is {losses[-1]} after epoch {len(losses)}: take a smaller "
                        f"learning_rate"
                    )
        self.eval()
        return History(losses, epochs * -(-len(x) // batch))

    def _fit_in_turn(
        self, x: Tensor, y: Tensor, chosen: Tensor | None, progress: bool, options: dict[str, Any]
    ) -> History:
        # before batch normalisation the gradient of a bias is rounding alone, and Adam enlarges it:
        # there the very same steps
        adam = torch.optim.Adam if self._one_by_one else _ADAM
        histories, stacks = [], dict(self.stacked.named_buffers())
        for m in tqdm(range(self.members), disable=not progress, leave=False, desc="training"):
            alone = self._one(m)  # trained in place, in its rows of the stacks
            own = (x, y)
            if chosen is not None:
                own = (x[chosen[m].to(x.device)], y[chosen[m].to(y.device)])
            options |= {"seed": self.seed + m, "optimizer": adam, "progress": False}
            histories.append(training.fit(alone, *own, **options))
            # a layer may have put another tensor in the place of its own
            for name, value in alone.named_buffers():
                stacks[name][m] = value
        self.eval()
        return History(
            [sum(each) / self.members for each in zip(*(h.losses for h in histories))],
            histories[0].steps,
        )


def _resampled(count: int, seed: int) -> Tensor:
    return torch.randint(count, (count,), generator=torch.Generator().manual_seed(seed))


def _member(make: Callable[[int], nn.Module], seed: int) -> nn.Module:
    with models.seeded(seed):
        member = make(seed)
    if not isinstance(member, nn.Module):
        raise TypeError(
            f"make: expected a function of a seed that returns a torch.nn.Module, got "
            f"{type(member).__name__}"
        )
    return member


def _check_alike(members: list[nn.Module]) -> None:
    first, *rest = (
        {name: (value.shape, value.dtype) for name, value in member.state_dict().items()}
        for member in members
    )
    if any(other != first for other in rest) or len({str(member) for member in members}) > 1:
        raise ValueError(
            "make: expected members that differ in their weights only, got different layers "
            "or shapes"
        )
    if not first:
        raise ValueError("make: expected a network with parameters, got none")


def _stacked(members: list[nn.Module]) -> nn.Module:
    """A copy of the first member, each parameter and buffer replaced by those of all members: (M,
    ...).
    """
    values = [
        {**dict(member.named_parameters()), **dict(member.named_buffers())} for member in members
    ]
    stacked = copy.deepcopy(members[0])
    for name, value in [*stacked.named_parameters(), *stacked.named_buffers()]:
        # what is shared stays shared, what is frozen frozen
        value.data = torch.stack([row[name].detach() for row in values])
    return stacked


def _as_one(parts: list[nn.Module], h: Tensor, member: int) -> Tensor:
    """What one member of dense layers says: (N, I) to (N, J)."""
    for layer in parts:
        if isinstance(layer, nn.Linear):
            bias = None if layer.bias is None else layer.bias[member]
            h = F.linear(h, layer.weight[member], bias)
        else:
            h = layer(h)
    return h


def _dense(layer: nn.Linear, h: Tensor) -> Tensor:
    """To each member its own: (M, N, I) to (M, N, J)."""
    W = layer.weight.transpose(1, 2)
    return torch.bmm(h, W) if layer.bias is None else torch.baddbmm(layer.bias[:, None], h, W)


def _dense_of_all(layer: nn.Linear, x: Tensor) -> Tensor:
    """What all members read is one product with all their weights: (N, I) to (M, N, J)."""
    bias = None if layer.bias is None else layer.bias.flatten()
    return (
        F.linear(x, layer.weight.flatten(0, 1), bias)
        .unflatten(-1, layer.weight.shape[:2])
        .transpose(0, 1)
    )


def _dense_parts(module: nn.Module) -> list[nn.Module] | None:
    """The layers in order, if all are dense or work on each number alone; else None."""
    if type(module) is nn.Sequential:
        layers: list[nn.Module] = []
        for child in module:
            parts = _dense_parts(child)
            if parts is None:
                return None
            layers += parts
        return layers
    whole = type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)
    return [module] if whole or type(module) in (nn.Linear, *_ELEMENTWISE) else None
