"""One loop that fits every classifier of the book, with progress and a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

__all__ = ["History", "fit", "descend", "by_hundreds", "MovingAverage", "accuracy"]


@dataclass(frozen=True)
class History:
    """losses: the mean training loss of each epoch, or of each hundred steps.
    steps: how many were taken.
    """

    losses: list[float]
    steps: int


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epochs: int = 20,
    learning_rate: float = 3e-3,
    batch: int = 64,
    seed: int = 0,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    weight_decay: float = 0.0,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    progress: bool = True,
) -> History:
    """Fit the model in place with Adam, or another optimizer, and a cosine schedule; afterwards it
    is in evaluation mode.

    x, y: the training set, (N, ...) and (N,).
    learning_rate: at the start; it falls to 0.
    loss: of scores and labels, a mean over the batch.
    optimizer: a function of the parameters, the learning rate and weight_decay=.
    progress: show a bar.

    The order of the samples and whatever the model draws depend on `seed` alone; the global random
    state is left as it was.
    Raises ValueError if x and y differ in length, if there is nothing to do, or if the loss is not
    finite.

    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    >>> model = nn.Linear(1, 2)
    >>> history = fit(model, x, y, epochs=50, learning_rate=0.1, progress=False)
    >>> history.steps, accuracy(model, x, y)
    (50, 1.0)
    """
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"x, y: expected the same number of samples, at least one, got {len(x)} and {len(y)}"
        )
    if epochs < 1 or batch < 1:
        raise ValueError(f"epochs, batch: expected at least 1, got {epochs} and {batch}")
    devices = [x.device] if x.is_cuda else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        model.train()
        steps = epochs * -(-len(x) // batch)
        descent = optimizer(model.parameters(), learning_rate, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
        losses = []
        for epoch in tqdm(range(epochs), disable=not progress, leave=False, desc="training"):
            total = 0.0
            for chosen in torch.randperm(len(x), device=x.device).split(batch):
                value = loss(model(x[chosen]), y[chosen])
                descend(descent, value)
                schedule.step()
                total += value.item() * len(chosen)
            losses.append(total / len(x))
            if not torch.isfinite(torch.tensor(losses[-1])):
                raise ValueError(
                    f"loss: expected a finite value, got {losses[-1]} in epoch {epoch}; try a "
                    f"smaller learning_rate"
                )
    model.eval()
    return History(losses, steps)


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step that lowers the loss, a number with a graph: gradients to zero, backward, step.

    >>> w = torch.tensor([2.0], requires_grad=True)
    >>> descend(torch.optim.SGD([w], lr=0.5), w.square().sum())
    >>> w.item()
    0.0
    """
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def by_hundreds(losses: list[float]) -> list[float]:
    """The mean of each full hundred of steps.

    >>> by_hundreds([1.0] * 100 + [3.0] * 150)
    [1.0, 3.0]
    """
    return [sum(losses[k - 100 : k]) / 100 for k in range(100, len(losses) + 1, 100)]


class MovingAverage:
    """The moving average of a model's weights, which forgets the first steps sooner than `decay`
    says.

    decay: the share of the average that stays in each step, in [0, 1); 0: the weights of the last
        step.

    >>> model = nn.Linear(1, 1)
    >>> average = MovingAverage(model, decay=0.5)
    >>> average.update()  # after each step of training
    >>> average.put()  # at the end
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay, self._steps = model, decay, 0
        self._means = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of one more step into the average."""
        self._steps += 1
        for mean, parameter in zip(self._means, self._model.parameters()):
            mean.lerp_(parameter, 1 - min(self._decay, self._steps / (self._steps + 9)))

    @torch.no_grad()
    def put(self) -> None:
        """Give the model the averaged weights."""
        for mean, parameter in zip(self._means, self._model.parameters()):
            parameter.copy_(mean)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share of the samples (N, ...) whose highest score is that of their label (N,), in [0, 1].

    >>> accuracy(nn.Identity(), torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1]))
    0.5
    """
    return (model(x).argmax(1) == y).float().mean().item()
