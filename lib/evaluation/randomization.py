"""Does an explanation depend on what the network has learned? Its weights are shuffled, and the
maps compared.
"""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from ..engine.contract import check_arguments, class_index, undisturbed


@dataclass(frozen=True, eq=False)
class Randomization:
    """How the maps of a network change while its weights are shuffled.

    layers: what was shuffled, from the output down.
    relevance: (L, N, ...), the map after each.
    similarity: (L, N), of the sizes of each map to those of the first, in [-1, 1].
    """

    layers: tuple[str, ...]
    relevance: Tensor
    similarity: Tensor


def randomization_check(
    method: Callable[..., Tensor],
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    cascading: bool = True,
    seed: int = 0,
) -> Randomization:
    """Sanity check of an explanation method: maps of a network whose layers are randomised (Adebayo
    et al., 2018).

    Layer by layer from the output down, the weights of each parameter are shuffled among themselves
    (Adebayo et al. draw new ones), so that their mean and spread stay. The model is copied, not
    changed.

    method : method(model, x, target) -> relevance like x.
    target : as for `lib.lrp.lrp`; the explained class is the one predicted by the intact network if
        None.
    cascading : what was shuffled stays so, and at last the whole network is random; otherwise each
        layer alone.

    Returns a `Randomization`; its similarity is Spearman's rank correlation of |R|, channels
    summed, NaN where a map is constant: sizes, because the sign of a whole map may turn with the
    sign of the score.
    Raises TypeError or ValueError: a bad argument, by name.

    >>> def weights_times_x(model, x, target):
    ...     return x * model[0].weight[0]
    >>> model = nn.Sequential(nn.Linear(3, 1))
    >>> randomization_check(weights_times_x, model, torch.ones(1, 3)).layers
    ('0',)
    """
    check_arguments(model, x, words=True)
    with undisturbed(model, x), torch.no_grad():
        target = class_index(model(x.clone()), target)
    layers = [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ][::-1]
    if not layers:
        raise ValueError("model: expected parameters to randomise, got none")
    first, changed, maps = method(model, x, target), model, []
    for k, layer in enumerate(layers):
        changed = copy.deepcopy(changed if cascading else model)
        parameters = changed.get_submodule(layer).parameters(recurse=False)
        _shuffle(parameters, torch.Generator().manual_seed(seed + k))
        maps.append(method(changed, x, target).detach())
    similarity = torch.stack([rank_correlation(_flat(first), _flat(R)) for R in maps])
    return Randomization(tuple(layers), torch.stack(maps), similarity)


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of the network that has learned nothing: the numbers of each parameter are shuffled
    among themselves, so that their mean and spread stay.

    >>> shuffled(nn.Linear(2, 2)).weight.shape
    torch.Size([2, 2])
    """
    other = copy.deepcopy(model)
    _shuffle(other.parameters(), torch.Generator().manual_seed(seed))
    return other


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Spearman's rank correlation of the rows of a and b (N, D): (N,). Equal values share the mean
    of their ranks; NaN for a constant row.

    >>> rank_correlation(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.0, 5.0, 6.0]]))
    tensor([1.])
    """
    a, b = (
        torch.as_tensor(rankdata(values.detach().cpu().double().numpy(), axis=1))
        for values in (a, b)
    )
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()).float()


def _flat(relevance: Tensor) -> Tensor:
    """The size of the relevance of each place: (N, P)."""
    return (relevance.sum(1) if relevance.dim() > 3 else relevance).flatten(1).abs()


def _shuffle(parameters: Iterable[nn.Parameter], generator: torch.Generator) -> None:
    for parameter in parameters:
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        parameter.data = parameter.data.flatten()[order].view_as(parameter)
