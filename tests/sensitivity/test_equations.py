"""The chapter on sensitivity: its equations on random input, the numbers of its prose."""

import pytest
import torch
from equations import check_covered, check_numbers, recomputes
from torch import nn

from lib import models
from lib import sensitivity as S

SEEDS = pytest.mark.parametrize("seed", range(3))


def network(
    seed: int, bias: bool = True, smooth: bool = False
) -> tuple[nn.Sequential, torch.Tensor]:
    """A small network of ReLU (or softplus) layers, and samples (4, 5), in double precision."""
    with models.seeded(seed):
        model = nn.Sequential(
            nn.Linear(5, 8, bias=bias),
            nn.Softplus() if smooth else nn.ReLU(),
            nn.Linear(8, 3, bias=bias),
        ).double()
        return model, torch.randn(4, 5, dtype=torch.float64)


def slopes(model: nn.Module, x: torch.Tensor, c: int, h: float = 1e-6) -> torch.Tensor:
    """df_c/dx by central differences."""
    columns = [
        (model(x + h * e) - model(x - h * e))[:, c] / (2 * h)
        for e in torch.eye(x.shape[1], dtype=x.dtype)
    ]
    return torch.stack(columns, 1).detach()


@recomputes("sensitivity", "sensitivity-definition", "more-car-read")
@SEEDS
def test_sensitivity_is_the_squared_slope_and_sums_to_its_squared_length(seed):
    model, x = network(seed)
    R, slope = S.sensitivity(model, x, 1), slopes(model, x, 1)
    assert torch.allclose(R, slope**2, atol=1e-6)
    assert torch.allclose(R.sum(1), slope.norm(dim=1) ** 2, atol=1e-6)


@recomputes("sensitivity", "norm-read")
@SEEDS
def test_the_small_stuff_of_a_smooth_network_falls_with_the_square_of_the_step(seed):
    model, x = network(seed, smooth=True)
    with models.seeded(seed + 10):
        e = torch.randn_like(x)
    rest = [
        (model(x + h * e) - model(x))[:, 0] - h * (e * S.gradient(model, x, 0)).sum(1)
        for h in (1e-2, 1e-3)
    ]
    ratio = (rest[0] / rest[1]).detach()
    assert torch.allclose(ratio, torch.full_like(ratio, 100), rtol=0.2)


@recomputes("sensitivity", "small-stuff-read")
@SEEDS
def test_gradient_times_input_is_the_score_of_a_network_without_biases(seed):
    for bias in (False, True):
        model, x = network(seed, bias)
        R = S.gradient_x_input(model, x, 2)
        assert torch.allclose(R, x * slopes(model, x, 2), atol=1e-6)
        assert torch.allclose(R.sum(1), model(x)[:, 2]) != bias


@recomputes("sensitivity", "path-read")
@SEEDS
def test_the_autocorrelation_is_that_of_the_fourier_transform(seed):
    with models.seeded(seed):
        g = torch.randn(256, dtype=torch.float64)
    g = g - g.mean()
    power = torch.fft.rfft(g, 512).abs() ** 2
    by_transform = torch.fft.irfft(power)[:20]
    rho = torch.stack([(g[: 256 - lag] * g[lag:]).sum() for lag in range(20)]) / (g**2).sum()
    assert torch.allclose(rho, by_transform / by_transform[0])


@recomputes("sensitivity", "shatter-exercise")
@SEEDS
def test_smoothgrad_is_a_mean_of_gradients_at_noisy_places(seed):
    with models.seeded(seed):
        w = torch.randn(5, dtype=torch.float64)
    x = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    class Cubic(nn.Module):  # slope 3 w_i (x.w)^2: its mean under noise is known
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ((x @ w) ** 3)[:, None]

    n, sigma = 20_000, 0.3
    R = S.smoothgrad(Cubic(), x, 0, samples=n, sigma=sigma, seed=seed)
    z, length = x @ w, w.norm()
    expected = 3 * (z**2 + (sigma * length) ** 2)[:, None] * w
    spread = (
        3
        * w.abs()
        * ((2 * z * sigma * length) ** 2 + 2 * (sigma * length) ** 4).sqrt()[:, None]
        / n**0.5
    )
    assert ((R - expected).abs() < 5 * spread).all()


@recomputes("sensitivity", "integrated-gradients")
@SEEDS
def test_integrated_gradients_are_the_integral_along_the_path(seed):
    model, x = network(seed, smooth=True)
    baseline = torch.zeros_like(x)
    t = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    g = torch.stack(
        [S.gradient(model, baseline + step * (x - baseline), 1) for step in t[::20]]
    ).mean(0)
    R = S.integrated_gradients(model, x, 1, baseline=baseline, steps=100)
    assert torch.allclose(R, (x - baseline) * g, atol=1e-3)
    assert torch.allclose(R.sum(1), (model(x) - model(baseline))[:, 1], atol=1e-4)


@recomputes("sensitivity", "guided-read", "guided-read 2", "grad-cam")
@SEEDS
def test_class_activation_maps_are_weighted_sums_of_the_last_maps(seed):
    with models.seeded(seed):
        model = models.gap_cnn(3, 4, width=4, seed=seed).double()
        x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    A = model[:-3](x).detach()  # (2, K, h, w): what global average pooling reads
    w, b = model[-1].weight.detach(), model[-1].bias.detach()
    h = A.shape[2] * A.shape[3]
    score = sum(w[1, k] * A[:, k].sum((1, 2)) / h for k in range(A.shape[1])) + b[1]
    assert torch.allclose(score, model(x)[:, 1])
    M = sum(w[1, k] * A[:, k] for k in range(A.shape[1]))
    enlarge = lambda maps: nn.functional.interpolate(
        maps[:, None], x.shape[2:], mode="bilinear", align_corners=False
    )[:, 0]
    assert torch.allclose(S.cam(model, x, 1).sum(1), enlarge(M), atol=1e-8)
    weighted = sum(w[1, k] / h * A[:, k] for k in range(A.shape[1])).clamp(min=0)
    assert torch.allclose(S.grad_cam(model, x, 1).sum(1), enlarge(weighted), atol=1e-8)


def test_every_equation_is_covered():
    check_covered("sensitivity")


def test_every_number_is_shown():
    check_numbers("sensitivity", {})
