"""Explanations in words and in cases: does a concept that a person can show move the score, and
what is the smallest change that makes another class of the input?
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ..engine.contract import check_arguments, differentiated, undisturbed
from .perturbation import explained, start, whole


def concept_direction(concept: Tensor, others: Tensor, strength: float = 0.01) -> Tensor:
    """The direction in which activations gain a concept: the unit normal v of the plane by which
    logistic regression parts them from others (Kim et al., 2018, section 3.2).

    Parameters
    ----------
    concept : (M, ...), activations of a layer on inputs that show the concept.
    others : (L, ...), of the same layer on inputs that do not.
    strength : > 0, the inverse of the penalty on the weights.

    Returns
    -------
    v (...), of length 1, from the others to the concept. Raises ValueError: shapes that differ, or
    a strength that is not positive.

    Example
    -------
    >>> others = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    >>> v = concept_direction(others + torch.tensor([2.0, 0.0]), others)
    >>> bool(v[0] > 0.999), v.norm().round(decimals=3)
    (True, tensor(1.))
    """
    if concept.shape[1:] != others.shape[1:] or not len(concept) or not len(others):
        raise ValueError(
            f"concept, others: expected (M, ...) and (L, ...) of one layer, got "
            f"{tuple(concept.shape)} and {tuple(others.shape)}"
        )
    if strength <= 0:
        raise ValueError(f"strength: expected > 0, got {strength}")
    rows = torch.cat([concept, others]).flatten(1).detach().double().cpu().numpy()
    shown = np.arange(len(rows)) < len(concept)
    # the weights are a sum of rows, so the fit needs no more numbers than there are rows
    basis, parts = np.linalg.qr(rows.T)
    plane = LogisticRegression(C=strength, max_iter=1000).fit(parts.T, shown)
    v = torch.from_numpy(basis @ plane.coef_[0]).to(concept)
    return (v / v.norm()).view(concept.shape[1:])


def concept_derivative(
    head: nn.Module, a: Tensor, direction: Tensor, target: int | Tensor | None = None
) -> Tensor:
    """How fast the score of a class grows when activations move in the direction of a concept,
    S = v . grad f_c(a) (Kim et al., 2018, eq. 1). The share of inputs of the class for which S > 0
    is the concept's TCAV score.

    Parameters
    ----------
    head : the part of a network above a layer, from its activations to scores.
    a : (N, ...), the layer's activations.
    direction : v (...), see `concept_direction`.
    target : as for `lib.lrp.lrp`.

    Returns
    -------
    S (N,), in logits for each unit of length. Raises TypeError or ValueError: a bad argument, by
    name.

    Example
    -------
    >>> head = nn.Linear(2, 1)
    >>> _ = head.weight.data.copy_(torch.tensor([[3.0, -1.0]]))
    >>> concept_derivative(head, torch.zeros(1, 2), torch.tensor([1.0, 0.0]))
    tensor([3.])
    """
    check_arguments(head, a)
    if direction.shape != a.shape[1:]:
        raise ValueError(
            f"direction: expected shape {tuple(a.shape[1:])}, got {tuple(direction.shape)}"
        )
    with undisturbed(head, a):
        with torch.no_grad():
            _, chosen = start(head, a, target)
        with differentiated(head):
            leaf = a.detach().requires_grad_()
            slope = torch.autograd.grad(explained(head(leaf * 1), chosen).sum(), leaf)[0]
    return (slope * direction).flatten(1).sum(1)


def counterfactual(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    steps: int = 300,
    learning_rate: float = 0.01,
    weight: float = 1.0,
    low: float = 0.0,
    high: float = 1.0,
) -> Tensor:
    """The smallest change that makes the model say another class, by gradient descent in the space
    of inputs (Wachter et al., 2018, eq. 1 and 2, with squared distance and a hinge).

    Minimises |x' - x|^2 + weight * max(0, max_{k != c} f_k(x') - f_c(x')) for x' in [low, high] and
    keeps the nearest x' on the way that the model gives to the class c = target.

    Parameters
    ----------
    model, x : as for `lib.lrp.lrp`, differentiable.
    target : the class to reach, an int or a LongTensor (N,).
    steps : >= 1.
    learning_rate, weight : > 0.
    low, high : bounds of an input.

    Returns
    -------
    x' like x, detached. Raises TypeError or ValueError: a bad argument, by name, and a class that
    was not reached.

    Example
    -------
    >>> model = nn.Linear(2, 2, bias=False)
    >>> _ = model.weight.data.copy_(torch.eye(2))
    >>> counterfactual(model, torch.tensor([[0.6, 0.4]]), 1).round(decimals=1)
    tensor([[0.5000, 0.5000]])
    """
    check_arguments(model, x)
    if target is None:
        raise TypeError("target: expected the class to reach, an int or a LongTensor, got None")
    whole("steps", steps, 1)
    if learning_rate <= 0 or weight <= 0:
        raise ValueError(f"learning_rate, weight: expected > 0, got {learning_rate} and {weight}")
    with undisturbed(model, x):
        with torch.no_grad():
            _, chosen = start(model, x, target)
        moved, best = x.detach().clone(), x.detach().clone()
        nearest = x.new_full((len(x),), torch.inf)
        for _ in range(steps + 1):
            with differentiated(model):
                leaf = moved.clone().requires_grad_()
                f = model(leaf * 1)
                own = f.gather(1, chosen[:, None])[:, 0]
                lead = f.scatter(1, chosen[:, None], -torch.inf).amax(1) - own
                slope = torch.autograd.grad(lead.clamp(min=0).sum(), leaf)[0]
            distance = (moved - x).flatten(1).norm(dim=1)
            closer = (lead < 0) & (distance < nearest)
            best[closer], nearest[closer] = moved[closer], distance[closer]
            step = learning_rate * (2 * (moved - x) + weight * slope)
            moved = (moved - step).clamp(low, high).detach()
    if lost := int(nearest.isinf().sum()):
        raise ValueError(
            f"steps: {lost} of {len(x)} inputs did not reach the class; expected more than {steps} "
            f"steps, or a weight above {weight}"
        )
    return best


def nearest_counterfactual(
    model: nn.Module, x: Tensor, target: int | Tensor, among: Tensor
) -> Tensor:
    """The nearest of given inputs that the model says to be of another class: a counterfactual that
    stays among things that exist.

    model, x : as for `lib.lrp.lrp`.
    target : the class to reach, an int or a LongTensor (N,).
    among : (M, ...), the inputs to choose from.

    Returns a tensor like x: rows of `among`. Raises ValueError: none of them is of the class.

    Example
    -------
    >>> among = torch.tensor([[0.0, 1.0], [0.4, 0.5]])
    >>> nearest_counterfactual(nn.Identity(), torch.tensor([[0.6, 0.4]]), 1, among)
    tensor([[0.4000, 0.5000]])
    """
    check_arguments(model, x)
    if among.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"among: expected inputs (M, ...) like x {tuple(x.shape)}, got {tuple(among.shape)}"
        )
    with undisturbed(model, among), torch.no_grad():
        said = model(among).argmax(1)
    wanted = torch.as_tensor(target, device=x.device).expand(len(x))
    if absent := sorted(set(wanted.tolist()) - set(said.tolist())):
        raise ValueError(f"among: expected inputs that the model gives to class {absent}, got none")
    distance = torch.cdist(x.flatten(1), among.flatten(1))
    return among[distance.where(wanted[:, None] == said, torch.inf).argmin(1)]
