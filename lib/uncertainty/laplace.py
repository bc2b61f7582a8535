"""The Laplace approximation: a Gaussian about the trained weights, as wide as the data leave them
free.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from ..engine.contract import check_arguments, undisturbed


@dataclass(frozen=True, eq=False)
class Laplace:
    """Weights ~ N(those of the model, covariance), and the network linear in them; made by
    `laplace`.

    names: the parameters meant, P numbers in all.
    covariance: (P, P).
    noise: the standard deviation of y, None for classes.
    """

    model: nn.Module
    names: tuple[str, ...]
    covariance: Tensor
    noise: float | None

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (N, C) and covariance (N, C, C) of the outputs of x (N, ...): f(x) and J covariance
        J^T (MacKay, 1992; Immer et al., 2021).

        Raises TypeError or ValueError for another x.
        """
        check_arguments(self.model, x)
        means, covariances = [], []
        for part in x.split(_chunk(self.names, self.model)):
            J, f = _jacobian(self.model, self.names, part)
            means.append(f)
            covariances.append(J @ self.covariance.to(J.dtype) @ J.transpose(1, 2))
        return torch.cat(means), torch.cat(covariances)

    def sample(self, x: Tensor, samples: int = 50, seed: int = 0) -> Tensor:
        """Outputs (S, N, C) drawn from their Gaussian; the softmax of scores gives what `decompose`
        reads.

        Raises TypeError or ValueError for another x.
        """
        mean, covariance = self.outputs(x)
        # no Cholesky: J covariance J^T may be singular
        values, vectors = torch.linalg.eigh(covariance.double())
        root = vectors * values.clamp(min=0).sqrt()[:, None]
        eps = torch.randn(
            samples, *mean.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        ).to(mean.device)
        return mean + torch.einsum("nij,snj->sni", root, eps).to(mean.dtype)


def laplace(
    model: nn.Module,
    x: Tensor,
    precision: float = 1.0,
    layers: str = "last",
    noise: float | None = None,
) -> Laplace:
    """Posterior covariance (sum_n J_n^T H_n J_n + precision I)^-1 about trained weights (MacKay,
    1992; Daxberger et al., 2021).

    J_n (C, P): the derivative of the outputs in the weights; H_n (C, C) that of the loss in the
    outputs, diag(p) - p p^T for classes and 1 / noise^2 for real y. The model is left as it was.

    x: (N, ...), the training inputs.
    precision: 1 / variance of the Gaussian prior of each weight.
    layers: "last" for the last nn.Linear, "all" for the whole network, whose P weights need P^2
        numbers.
    noise: the standard deviation of real y, None for classes.
    Raises TypeError or ValueError if an argument does not fit.

    >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> laplace(model, torch.ones(5, 2)).covariance.shape
    torch.Size([27, 27])
    """
    check_arguments(model, x)
    if not precision > 0 or noise is not None and not noise > 0:
        raise ValueError(
            f"precision, noise: expected numbers above 0, noise or None, got {precision} and "
            f"{noise}"
        )
    names = _names(model, layers)
    size = sum(model.get_parameter(name).numel() for name in names)
    if size > 6000:
        raise ValueError(
            f"layers: expected at most 6,000 weights, whose covariance has 36 million "
            f"numbers, got {size}; take layers='last' or a smaller network"
        )
    total = precision * torch.eye(size, dtype=torch.float64, device=x.device)
    for part in x.split(_chunk(names, model)):
        J, f = (t.double() for t in _jacobian(model, names, part))
        if noise is not None:
            total += torch.einsum("ncp,ncq->pq", J, J) / noise**2
        else:
            p = f.softmax(1)
            # J^T (diag(p) - p p^T) J as a product of one matrix with itself
            J = (J - (p[:, None] @ J)) * p.sqrt()[:, :, None]
            total += J.flatten(0, 1).T @ J.flatten(0, 1)
    return Laplace(model, names, torch.linalg.inv(total), noise)


def _names(model: nn.Module, layers: str) -> tuple[str, ...]:
    if layers == "all":
        return tuple(name for name, _ in model.named_parameters())
    if layers != "last":
        raise ValueError(f"layers: expected 'last' or 'all', got {layers!r}")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(
            "model: expected an nn.Linear, whose weights are meant by layers='last', got none"
        )
    prefix = f"{linear[-1]}." if linear[-1] else ""
    return tuple(
        name for name, _ in model.named_parameters() if name in (f"{prefix}weight", f"{prefix}bias")
    )


def _chunk(names: tuple[str, ...], model: nn.Module) -> int:
    """How many samples at a time: about 4 million numbers of Jacobian for ten outputs."""
    return max(1, 400_000 // sum(model.get_parameter(name).numel() for name in names))


def _jacobian(model: nn.Module, names: tuple[str, ...], x: Tensor) -> tuple[Tensor, Tensor]:
    """J (N, C, P) and the outputs (N, C), in evaluation mode."""
    chosen = {name: model.get_parameter(name).detach() for name in names}
    fixed = {name: p.detach() for name, p in model.named_parameters() if name not in chosen}

    def output(chosen: dict, sample: Tensor) -> tuple[Tensor, Tensor]:
        f = functional_call(model, {**fixed, **chosen}, (sample[None],))[0]
        return f, f

    with undisturbed(model, x):
        J, f = vmap(jacrev(output, has_aux=True), in_dims=(None, 0))(chosen, x)
    if f.dim() != 2:
        raise ValueError(f"model: expected outputs (N, C), got {tuple(f.shape)}")
    return torch.cat([J[name].flatten(2) for name in names], 2), f.detach()
