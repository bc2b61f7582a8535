"""Labels by several people: how much they disagree, and whom to believe."""

from dataclasses import dataclass

import torch
from torch import Tensor


def vote_entropy(counts: Tensor, corrected: bool = False) -> Tensor:
    """The entropy in nats of the votes for each class: counts (..., C) to (...,).

    corrected: few votes look too unanimous, and on average the entropy is too small; with True
        (classes seen - 1) / (2 votes) is added (Miller, 1955).
    Raises ValueError if a count is negative or a row has no vote.

    >>> vote_entropy(torch.tensor([[2, 1, 0]]), corrected=True)
    tensor([0.8032])
    """
    n = counts.sum(-1)
    if (counts < 0).any() or (n == 0).any():
        raise ValueError(
            "counts: expected numbers of votes, none negative and at least one in each row"
        )
    H = torch.special.entr(counts / n[..., None]).sum(-1)
    return H + ((counts > 0).sum(-1) - 1) / (2 * n) if corrected else H


@dataclass(frozen=True, eq=False)
class Annotators:
    """What `dawid_skene` finds.

    labels: (N, C), the probability of each class.
    confusion: (A, C, C), what annotator a says (column) of each true class (row).
    prior: (C,), how frequent the classes are.
    """

    labels: Tensor
    confusion: Tensor
    prior: Tensor


def dawid_skene(
    votes: Tensor, classes: int, iterations: int = 50, smoothing: float = 0.01
) -> Annotators:
    """True labels and each annotator's confusion from votes alone, by expectation maximisation
    (Dawid and Skene, 1979).

    votes: (N, A), the class that annotator a gave sample n, -1 where there is none.
    iterations: from the shares of the votes, where it starts.
    smoothing: a count added to each cell, so that no probability is 0.
    Raises TypeError or ValueError if the votes do not fit.

    >>> votes = torch.tensor([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, -1]])
    >>> dawid_skene(votes, classes=2).labels.argmax(1)
    tensor([0, 1, 0, 1])
    """
    if not isinstance(votes, Tensor) or votes.is_floating_point() or votes.dtype == torch.bool:
        raise TypeError(
            f"votes: expected whole numbers (a LongTensor), got "
            f"{votes.dtype if isinstance(votes, Tensor) else type(votes).__name__}"
        )
    if votes.dim() != 2 or votes.numel() == 0 or votes.min() < -1 or votes.max() >= classes:
        raise ValueError(
            f"votes: expected (N, A) in -1..{classes - 1}, got shape {tuple(votes.shape)}"
        )
    if (votes < 0).all(1).any():
        raise ValueError("votes: expected at least one vote for each sample")
    said = (votes[:, :, None] == torch.arange(classes, device=votes.device)).double()  # (N, A, C)
    labels = said.sum(1) / said.sum((1, 2))[:, None]
    for _ in range(iterations):
        prior = labels.mean(0)
        confusion = torch.einsum("nc,nak->ack", labels, said) + smoothing
        confusion = confusion / confusion.sum(2, keepdim=True)
        heard = torch.einsum("nak,ack->nc", said, confusion.log())
        labels = (torch.log(prior + 1e-12) + heard).softmax(1)
    return Annotators(labels, confusion, prior)
