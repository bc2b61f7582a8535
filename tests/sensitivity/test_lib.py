"""Sensitivity and its relatives: equations recomputed in float64, peers compared, identities, bad
inputs, nothing left changed.
"""

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Net, drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import data, models
from lib.sensitivity import (
    cam,
    count_linear_regions,
    deconvnet,
    grad_cam,
    gradient,
    gradient_x_input,
    gradients,
    guided_backprop,
    integrated_gradients,
    kinks,
    sensitivity,
    smoothgrad,
)

torch.set_num_threads(1)
METHODS = [
    gradient,
    sensitivity,
    gradient_x_input,
    smoothgrad,
    integrated_gradients,
    deconvnet,
    guided_backprop,
]
MAPS = [cam, grad_cam]
EVERY = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
EVERY_ON_IMAGES = pytest.mark.parametrize("method", METHODS + MAPS, ids=lambda m: m.__name__)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mlp(sizes=(4, 6, 5, 3), bias=True, seed=0):
    return drawn(lambda: models.mlp(sizes[0], sizes[1:-1], sizes[-1], bias), seed)


def gap(channels=2):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 3),
    )


def tiny():
    """The network of the reference table, that anyone can rebuild."""
    layers = []
    for k, (i, o) in enumerate([(4, 5), (5, 4), (4, 3)]):
        layer = nn.Linear(i, o, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(
                torch.tensor(
                    [
                        [((7 * a + 5 * b + 3 * k + a * b) % 11 - 4) / 5 for a in range(i)]
                        for b in range(o)
                    ],
                    dtype=torch.float64,
                )
            )
            layer.bias.copy_(
                torch.tensor([((4 * b + 3 * k) % 5 - 2) / 4 for b in range(o)], dtype=torch.float64)
            )
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def loops(model, x, c, message):
    """Back through dense layers and ReLUs, one number at a time; message(g, z) is what a ReLU sends
    back.
    """
    layers = [
        (m.weight.tolist(), m.bias.tolist() if m.bias is not None else [0.0] * len(m.weight))
        for m in model
        if isinstance(m, nn.Linear)
    ]
    rows = []
    for n, row in enumerate(x.flatten(1).tolist()):
        a, zs = row, []
        for w, b in layers:
            zs.append([sum(v * u for v, u in zip(line, a)) + bias for line, bias in zip(w, b)])
            a = [max(v, 0.0) for v in zs[-1]]
        g = [float(k == c[n]) for k in range(len(zs[-1]))]
        for depth in reversed(range(len(layers))):
            w = layers[depth][0]
            g = [sum(w[j][i] * g[j] for j in range(len(w))) for i in range(len(w[0]))]
            if depth:
                g = [message(v, z) for v, z in zip(g, zs[depth - 1])]
        rows.append(g)
    return torch.tensor(rows, dtype=torch.float64).reshape(x.shape)


MESSAGES = {
    gradient: lambda g, z: g * (z > 0),
    deconvnet: lambda g, z: max(g, 0.0),
    guided_backprop: lambda g, z: max(g, 0.0) * (z > 0),
}


# ---------------------------------------------------------------- equations


TABLE = [
    (gradient, "1.888 1.536 .480 .128", ".648 .216 .840 .408"),
    (gradient_x_input, "1.888 .768 .960 .032", "-.648 .108 1.680 -.102"),
    (guided_backprop, "2.00 1.52 1.04 .56", ".712 .296 1.112 .696"),
    (deconvnet, "2.000 1.432 .864 .296", "2.000 1.432 .864 .296"),
]


@pytest.mark.parametrize(
    ("method", "positive", "mixed"), TABLE, ids=[row[0].__name__ for row in TABLE]
)
def test_the_reference_table_to_its_last_digit(method, positive, mixed):
    x = torch.tensor([[1, 0.5, 2, 0.25], [-1, 0.5, 2, -0.25]], dtype=torch.float64)
    expected = [[float(v) for v in row.split()] for row in (positive, mixed)]
    assert np.allclose(method(tiny(), x, 0), expected, rtol=0, atol=1e-9)
    if method is gradient:
        assert np.allclose(sensitivity(tiny(), x, 0), np.square(expected), atol=1e-9)


def test_integrated_gradients_of_the_reference_table():
    x = torch.tensor([[1, 0.5, 2, 0.25], [-1, 0.5, 2, -0.25]], dtype=torch.float64)
    exact = [[1.357565, 0.495766, 1.205494, 0.059179], [-0.606204, 0.100163, 1.557224, -0.093184]]
    for steps, error in ((50, 1e-2), (20000, 5e-5)):
        assert np.allclose(
            integrated_gradients(tiny(), x, 0, steps=steps), exact, rtol=0, atol=error
        )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), bias=st.booleans())
@pytest.mark.parametrize("method", MESSAGES, ids=lambda m: m.__name__)
def test_each_backward_pass_is_its_loop(method, seed, n, bias):
    model, x = mlp(bias=bias, seed=seed), normal(n, 4, seed=seed + 1)
    c = [(seed + k) % 3 for k in range(n)]
    assert torch.allclose(
        method(model, x, torch.tensor(c)), loops(model, x, c, MESSAGES[method]), atol=1e-10
    )


def test_sensitivities_sum_to_the_squared_length_and_do_not_know_a_constant():
    model, x = mlp(), normal(5, 4)
    g, R = gradient(model, x), sensitivity(model, x)
    assert torch.allclose(R.sum(1), g.norm(dim=1) ** 2) and (R >= 0).all()
    model[-1].bias.data += 100
    assert torch.equal(sensitivity(model, x), R)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_gradient_x_input_conserves_without_biases(seed):
    model, x = mlp(bias=False, seed=seed), normal(3, 4, seed=seed)
    scores = model(x).detach()
    assert torch.allclose(gradient_x_input(model, x, 1).sum(1), scores[:, 1], atol=1e-10)


def test_gradient_against_finite_differences():
    model, x, h = (
        drawn(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))),
        normal(2, 4),
        1e-5,
    )
    wanted = torch.zeros_like(x)
    for n in range(2):
        for i in range(4):
            e = torch.zeros(4, dtype=x.dtype)
            e[i] = h
            wanted[n, i] = (model(x[n] + e)[2] - model(x[n] - e)[2]).item() / (2 * h)
    assert torch.allclose(gradient(model, x, 2), wanted, atol=1e-8)


def test_smoothgrad_is_the_mean_over_its_noise():
    model, x = mlp(), normal(3, 4)
    generator = torch.Generator().manual_seed(7)
    wanted = torch.zeros_like(x)
    for _ in range(9):
        wanted += (
            gradient(model, x + 0.3 * torch.randn(4, generator=generator, dtype=x.dtype), 1) / 9
        )
    assert torch.allclose(smoothgrad(model, x, 1, samples=9, sigma=0.3, seed=7), wanted)
    assert torch.equal(
        smoothgrad(model, x, 1, sigma=0.3), smoothgrad(model, x, 1, sigma=0.3, seed=0)
    )
    assert not torch.equal(
        smoothgrad(model, x, 1, sigma=0.3), smoothgrad(model, x, 1, sigma=0.3, seed=1)
    )
    assert torch.allclose(smoothgrad(model, x, sigma=0), gradient(model, x))


def test_smoothgrad_of_a_square_has_the_expected_mean_and_spread():
    model = Net(lambda self, x: (x**2).sum(1, keepdim=True))  # gradient 2 x + 2 sigma noise
    x, sigma, samples = normal(1, 50), 0.5, 4000
    error = smoothgrad(model, x, samples=samples, sigma=sigma) - 2 * x
    assert (error.abs() < 5 * 2 * sigma / samples**0.5).all() and error.abs().max() > 0


def test_integrated_gradients_are_complete_for_any_baseline():
    model, x = (
        drawn(lambda: nn.Sequential(nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 3))),
        normal(3, 4),
    )
    for baseline in (0.0, 1, normal(4, seed=3), normal(3, 4, seed=4)):
        start = torch.as_tensor(baseline, dtype=x.dtype).expand_as(x)
        change = (model(x) - model(start)).detach()[:, 2]
        assert torch.allclose(
            integrated_gradients(model, x, 2, baseline, steps=400).sum(1), change, atol=1e-5
        )
    assert not integrated_gradients(model, x, 2, x).any()


def test_integrated_gradients_exactly_by_the_kinks_of_the_path():
    model, x = mlp((4, 8, 8, 3)), normal(2, 4)
    wanted = torch.zeros_like(x)
    for n, inner in enumerate(kinks(model, torch.zeros_like(x), x)):
        ends = torch.cat([torch.zeros(1), inner, torch.ones(1)]).tolist()
        for a, b in zip(ends, ends[1:]):
            wanted[n] += (b - a) * x[n] * gradient(model, (a + b) / 2 * x[[n]], 1)[0]
    assert torch.allclose(wanted.sum(1), (model(x) - model(0 * x)).detach()[:, 1], atol=1e-10)
    assert torch.allclose(integrated_gradients(model, x, 1, steps=5000), wanted, atol=2e-3)


@EVERY
def test_passes_of_any_size_give_the_same(method, monkeypatch):
    model, x = mlp(), normal(3, 4)
    whole = method(model, x)
    monkeypatch.setattr(gradients, "AT_ONCE", 25)
    assert torch.allclose(method(model, x), whole, atol=1e-12)


# ---------------------------------------------------------------- activation maps


def test_cam_is_the_weighted_sum_of_the_maps_and_its_mean_the_score():
    model, x, c = drawn(gap), normal(3, 2, 8, 12), torch.tensor([0, 2, 1])
    A = model[:5](x).detach()
    maps = torch.stack(
        [sum(model[7].weight[k, j] * A[n, j] for j in range(5)) for n, k in enumerate(c)]
    ).detach()
    wanted = F.interpolate(maps[:, None], (8, 12), mode="bilinear")[:, 0]
    assert torch.allclose(cam(model, x, c).sum(1), wanted)
    assert torch.allclose(
        maps.mean((1, 2)), model(x).gather(1, c[:, None])[:, 0].detach() - model[7].bias[c].detach()
    )
    assert torch.equal(cam(model, x, c)[:, 0], cam(model, x, c)[:, 1])


def test_grad_cam_is_the_rectified_cam_where_both_exist():
    model, x = drawn(gap), normal(3, 2, 8, 12)
    maps = (model[7].weight[1].detach()[:, None, None] * model[:5](x).detach()).sum(1, keepdim=True)
    # 4 x 6 positions
    wanted = F.interpolate(maps.clamp(min=0) / 24, (8, 12), mode="bilinear")[:, 0]
    assert torch.allclose(grad_cam(model, x, 1).sum(1), wanted)


def test_cam_sees_pooling_written_in_other_ways():
    def by(pool, head):
        return lambda: Net(
            lambda self, x: head(self, pool(F.relu(self.conv(x)))),
            conv=nn.Conv2d(2, 4, 3),
            out=nn.Linear(4, 3),
            one=nn.Conv2d(4, 3, 1),
        )

    x = normal(3, 2, 7, 7)
    made = [
        drawn(by(lambda h: h.mean((2, 3)), lambda s, p: s.out(p))),
        drawn(by(lambda h: h.mean([-1, -2]), lambda s, p: F.linear(p, s.out.weight, s.out.bias))),
        drawn(
            by(
                lambda h: F.avg_pool2d(h, 5).flatten(1),
                lambda s, p: s.out(F.dropout(p, training=s.training)),
            )
        ),
        drawn(by(lambda h: F.adaptive_avg_pool2d(h, 1)[:, :, 0, 0], lambda s, p: s.out(p))),
    ]
    for model in made:
        assert torch.allclose(cam(model, x, 1), cam(made[0], x, 1))
    fully = drawn(by(lambda h: F.adaptive_avg_pool2d(h, 1), lambda s, p: s.one(p).flatten(1)))
    assert cam(fully, x).shape == x.shape
    maps = drawn(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert torch.allclose(
        cam(maps, x, 2).sum(1, keepdim=True),
        F.interpolate(maps[0](x)[:, [2]].detach(), (7, 7), mode="bilinear"),
    )


def test_maps_of_other_dimensions():
    line = drawn(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    )
    solid = drawn(
        lambda: nn.Sequential(
            nn.Conv3d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    )
    for model, x in ((line, normal(3, 2, 9)), (solid, normal(3, 2, 5, 6, 7))):
        for method in MAPS:
            assert method(model, x).shape == x.shape


@pytest.mark.parametrize(
    "change",
    [
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 5),
            nn.ReLU(),
            nn.Linear(5, 3),
        ),
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        ),
        lambda: Net(
            lambda self, x: self.out(self.conv(x).mean((2, 3))) + x.sum((1, 2, 3))[:, None],
            conv=nn.Conv2d(2, 4, 3),
            out=nn.Linear(4, 3),
        ),
    ],
    ids=["flatten", "four cells", "deep head", "maximum", "a way around"],
)
def test_cam_refuses_networks_that_do_not_end_so(change):
    with pytest.raises(ValueError, match="model: expected global average pooling"):
        cam(drawn(change), normal(2, 2, 8, 8))


def test_grad_cam_names_layers_and_refuses_others():
    model, x = drawn(gap), normal(3, 2, 8, 8)
    assert torch.equal(grad_cam(model, x, 0, "0"), grad_cam(model, x, 0, model[0]))
    assert torch.equal(grad_cam(model, x, 0), grad_cam(model, x, 0, "4"))
    assert not torch.equal(grad_cam(model, x, 0), grad_cam(model, x, 0, "3"))
    for layer, error, words in (
        ("9", ValueError, "layer: expected a module .* got '9'"),
        (nn.ReLU(), ValueError, "layer: expected a module"),
        (3, TypeError, "layer: expected None, .* got int"),
        ("7", ValueError, "layer: expected maps .* shape"),
        ("6", ValueError, "layer: expected maps"),
    ):
        with pytest.raises(error, match=words):
            grad_cam(model, x, 0, layer)
    assert not any(m._forward_hooks for m in model.modules())
    with pytest.raises(ValueError, match="layer: expected a convolution in the model, got none"):
        grad_cam(mlp((72, 5, 3)), normal(2, 2, 6, 6))
    with pytest.raises(ValueError, match="x: expected"):
        grad_cam(mlp(), normal(2, 4))


def test_grad_cam_of_activations_changed_in_place_later():
    def forward(self, x, later):
        h = F.relu(self.conv(x))
        kept = h * 1
        if later:
            h += 1.0
            h = h - 1.0
        else:
            h = kept
        return self.out(h.flatten(1))

    make = lambda later: drawn(
        lambda: Net(
            lambda self, x: forward(self, x, later), conv=nn.Conv2d(2, 4, 3), out=nn.Linear(144, 3)
        )
    )
    x = normal(2, 2, 8, 8)
    assert torch.allclose(grad_cam(make(True), x, 1), grad_cam(make(False), x, 1))


# ---------------------------------------------------------------- ReLUs as people write them


WRITTEN = {
    "nn.ReLU": lambda s, z: s.act(z),
    "in place module": lambda s, z: s.act_in_place(z),
    "F.relu": lambda s, z: F.relu(z),
    "torch.relu": lambda s, z: torch.relu(z),
    "method": lambda s, z: z.relu(),
    "in place method": lambda s, z: z.relu_(),
    "F.relu in place": lambda s, z: F.relu(z, inplace=True),
    "F.relu positional": lambda s, z: F.relu(z, True),
    "keyword": lambda s, z: F.relu(input=z),
    "torch.relu_": lambda s, z: torch.relu_(z),
    "clamp": lambda s, z: z.clamp(min=0),
    "clamp positional": lambda s, z: z.clamp(0),
    "clamp_min": lambda s, z: z.clamp_min(0),
    "clamp_min_": lambda s, z: z.clamp_min_(0.0),
    "torch.clamp": lambda s, z: torch.clamp(z, 0.0),
    "clip": lambda s, z: z.clip(min=0),
    "threshold": lambda s, z: F.threshold(z, 0, 0),
    "maximum": lambda s, z: torch.maximum(z, torch.zeros_like(z.detach())),
    "maximum turned": lambda s, z: torch.maximum(z.new_zeros(()), z),
    "result unused": lambda s, z: (z.relu_(), z)[1],
}


@pytest.mark.parametrize("relu", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("method", [deconvnet, guided_backprop])
def test_relus_are_seen_however_they_are_written(method, relu):
    def forward(self, x):
        h = relu(self, self.a(x))
        return self.c(relu(self, self.b(relu(self, self.b(h)))))

    def make():
        return Net(
            forward,
            a=nn.Linear(4, 6),
            b=nn.Linear(6, 6),
            c=nn.Linear(6, 3),
            act=nn.ReLU(),
            act_in_place=nn.ReLU(inplace=True),
        )

    model, x = drawn(make), normal(5, 4)
    plain = nn.Sequential(model.a, nn.ReLU(), model.b, nn.ReLU(), model.b, nn.ReLU(), model.c)
    assert torch.allclose(
        method(model, x, 1), loops(plain, x, [1] * 5, MESSAGES[method]), atol=1e-10
    )


def test_residual_networks_and_relus_on_views():
    def forward(self, x):
        h = self.a(x)
        h = h + F.relu(self.b(F.relu(h)))
        half = h[:, :3]
        half.relu_()
        return self.c(h)

    model, x = (
        drawn(lambda: Net(forward, a=nn.Linear(4, 6), b=nn.Linear(6, 6), c=nn.Linear(6, 3))),
        normal(3, 4),
    )
    A, B, C = (m.weight.detach() for m in (model.a, model.b, model.c))
    h0 = model.a(x).detach()
    z = model.b(h0.relu()).detach()
    h1 = h0 + z.relu()
    for method, send in (
        (guided_backprop, lambda g, z: g.clamp(min=0) * (z > 0)),
        (deconvnet, lambda g, z: g.clamp(min=0)),
    ):
        g = C[1].expand(3, 6).clone()
        g[:, :3] = send(g[:, :3], h1[:, :3])
        g = g + send(send(g, z) @ B, h0)
        assert torch.allclose(method(model, x, 1), g @ A)


@pytest.mark.parametrize(
    "activation",
    [
        F.gelu,
        F.leaky_relu,
        F.silu,
        F.elu,
        F.softplus,
        F.hardswish,
        F.selu,
        F.hardtanh,
        lambda z: F.prelu(z, torch.full((1,), 0.2, dtype=torch.float64)),
        lambda z: z.clamp(-1, 6),
        lambda z: z.clamp(0, -1),
        lambda z: z.clamp(max=6),
        lambda z: z.clamp(z.new_zeros(6), torch.arange(1.0, 7.0, dtype=torch.float64)),
        lambda z: F.silu(input=z),
        lambda z: z.clamp(min=-1),
        lambda z: F.threshold(z, 1, 0),
    ],
    ids=lambda f: f.__name__,
)
def test_what_is_no_relu_is_refused_by_name(activation):
    model = drawn(
        lambda: Net(
            lambda self, x: self.b(activation(self.a(x))), a=nn.Linear(4, 6), b=nn.Linear(6, 3)
        )
    )
    for method in (guided_backprop, deconvnet):
        with pytest.raises(ValueError, match="model: expected no activation but ReLU"):
            method(model, normal(2, 4))


@pytest.mark.parametrize(
    "activation", [nn.GELU(), nn.SiLU(), nn.ELU(), nn.LeakyReLU(), nn.Hardtanh()], ids=repr
)
def test_the_refusal_of_an_activation_names_its_place_and_the_reason(activation):
    block = nn.Sequential(nn.Linear(4, 4), activation)
    model = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.ModuleDict({"first": block})["first"], nn.Linear(4, 3)
    ).double()
    for method in (guided_backprop, deconvnet):
        with pytest.raises(ValueError, match=r"\(in 2\.1\); both methods zero .* no such set"):
            method(model, normal(2, 4))


CAPPED = {
    "nn.ReLU6": lambda s, z: s.act(z),
    "in place module": lambda s, z: s.act_in_place(z),
    "F.relu6": lambda s, z: F.relu6(z),
    "F.relu6 in place": lambda s, z: F.relu6(z, True),
    "clamp": lambda s, z: z.clamp(0, 6),
    "clamp of keywords": lambda s, z: torch.clamp(z, min=0.0, max=6.0),
    "clamp_": lambda s, z: z.clamp_(0, 6),
    "clip": lambda s, z: z.clip(0, 6),
    "clamp of tensors": lambda s, z: z.clamp(z.new_zeros(()), z.new_tensor(6.0)),
    "hardtanh": lambda s, z: F.hardtanh(z, 0, 6),
    "hardtanh_": lambda s, z: F.hardtanh_(z, 0, 6),
    "hardtanh in place": lambda s, z: F.hardtanh(z, 0.0, 6.0, inplace=True),
}


def by_hooks(model, x, c, send):
    """Autograd's way back, each ReLU6 module with another message."""
    inputs, handles = {}, []
    for act in (m for m in model.modules() if isinstance(m, nn.Hardtanh)):
        keep = lambda m, given, _: inputs.update({m: given[0].detach()})
        back = lambda m, _, g: (send(g[0], inputs[m]),)
        handles += [act.register_forward_hook(keep), act.register_full_backward_hook(back)]
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf)[:, c].sum(), leaf)
    for handle in handles:
        handle.remove()
    assert min(z.min() for z in inputs.values()) < 0 and max(z.max() for z in inputs.values()) > 6
    return gradient


@pytest.mark.parametrize("relu6", CAPPED.values(), ids=CAPPED)
def test_a_capped_relu_is_active_between_zero_and_its_cap(relu6):
    act, act_in_place = nn.ReLU6(), nn.ReLU6(inplace=True)
    model = drawn(
        lambda: Net(
            lambda s, x: s.c(relu6(s, s.b(relu6(s, 9 * s.a(x))))),
            a=nn.Conv2d(2, 3, 3),
            b=nn.Conv2d(3, 3, 3),
            c=nn.Sequential(nn.Flatten(), nn.Linear(48, 3)),
            act=act,
            act_in_place=act_in_place,
        )
    )
    plain = Net(
        lambda s, x: s.c(s.second(s.b(s.first(9 * s.a(x))))),
        **{name: getattr(model, name) for name in "abc"},
        first=nn.ReLU6(),
        second=nn.ReLU6(),
    )
    x = normal(4, 2, 8, 8)
    active = lambda g, z: g.clamp(min=0) * ((z > 0) & (z < 6))
    assert torch.allclose(guided_backprop(model, x, 1), by_hooks(plain, x, 1, active))
    any_unit = lambda g, z: g.clamp(min=0)
    assert torch.allclose(deconvnet(model, x, 1), by_hooks(plain, x, 1, any_unit))


def test_any_cap_counts_and_at_the_cap_a_unit_is_not_active():
    x = torch.tensor([[-1.0, 0.0, 1.5, 2.0, 3.0]])
    for cap, active in (
        (2, [0, 0, 1, 0, 0]),
        (2.5, [0, 0, 1, 1, 0]),
        (float("inf"), [0, 0, 1, 1, 1]),
    ):
        model = Net(lambda s, x: x.clamp(0, cap).sum(1, keepdim=True))
        assert guided_backprop(model, x).tolist() == [active]
        assert deconvnet(model, x).tolist() == [[1] * 5]


def test_the_published_network_of_relu6s_on_a_photograph():
    """Against hooks on its modules; that they agree at all is no matter of the architecture."""
    model = models.pretrained("efficientnet_lite0")
    x = F.interpolate(model.prepare(data.photos(["flower"])["flower"].image), (96, 96))
    for method, send in (
        (guided_backprop, lambda g, z: g.clamp(min=0) * ((z > 0) & (z < 6))),
        (deconvnet, lambda g, z: g.clamp(min=0)),
    ):
        R = method(model, x, 985)
        wanted = by_hooks(model, x, 985, send)
        assert R.shape == x.shape and R.isfinite().all() and R.abs().max() > 0
        assert torch.allclose(R, wanted, rtol=1e-3, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize(
    "by_hand",
    [
        lambda z: z * (z > 0),
        lambda z: (z >= 0).float().type_as(z) * z,
        lambda z: torch.where(z > 0, z, 0.0),
        lambda z: z.masked_fill(z < 0, 0),
    ],
)
def test_relus_written_by_hand_are_refused(by_hand):
    model = drawn(
        lambda: Net(
            lambda self, x: self.b(by_hand(self.a(x))), a=nn.Linear(4, 6), b=nn.Linear(6, 3)
        )
    )
    with pytest.raises(ValueError, match="model: expected ReLUs by name .* written by hand"):
        guided_backprop(model, normal(2, 4))


def test_a_maximum_of_two_signals_is_no_relu():
    model = drawn(
        lambda: Net(
            lambda self, x: torch.maximum(self.a(x), self.b(x)),
            a=nn.Linear(4, 3),
            b=nn.Linear(4, 3),
        )
    )
    assert torch.equal(guided_backprop(model, normal(5, 4)), gradient(model, normal(5, 4)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_relus_are_refused_or_right():
    model = drawn(lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = nn.Sequential(torch.jit.script(model[:2]), model[2])
    with pytest.raises(ValueError, match="model: expected no activation but ReLU"):
        guided_backprop(scripted, normal(2, 4))


# ---------------------------------------------------------------- regions


def tent(depth):
    layers = []
    for _ in range(depth):
        fold, add = nn.Linear(1, 2), nn.Linear(2, 1)
        for p, value in zip(
            (*fold.parameters(), *add.parameters()),
            ([[2.0], [2.0]], [0.0, -1.0], [[1.0, -2.0]], [0.0]),
        ):
            p.data = torch.tensor(value)
        layers += [fold, nn.ReLU(), add]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("depth", range(1, 9))
def test_tent_maps_have_two_to_the_depth_pieces(depth):
    inner = kinks(tent(depth), torch.zeros(1, 1), torch.ones(1, 1))[0]
    assert torch.allclose(inner, torch.arange(1, 2**depth).double() / 2**depth, atol=1e-12)
    assert count_linear_regions(tent(depth), torch.zeros(1, 1), torch.ones(1, 1)).item() == 2**depth


def by_grid(model, start, end, points=200_001):
    """Runs of equal slope on a fine grid; a cell with a kink in it belongs to none."""
    t = torch.linspace(0, 1, points, dtype=torch.float64)
    with torch.no_grad():
        f = torch.cat(
            [
                model(start + s.reshape(-1, *[1] * start.dim()) * (end - start))
                for s in t.split(5000)
            ]
        )
    bends = (f.diff(dim=0).diff(dim=0).abs() > 1e-9 * f.abs().max()).any(1)
    return 1 + int((bends[1:] & ~bends[:-1]).sum()) + int(bends[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.mlp(2, (12, 12, 12), 3),
        lambda: nn.Sequential(
            nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 8), nn.ReLU6(), nn.Linear(8, 2)
        ),
        lambda: Net(
            lambda s, x: s.b(F.relu(s.a(x)) + s.a(x)).abs(), a=nn.Linear(2, 10), b=nn.Linear(10, 3)
        ),
        lambda: Net(
            lambda s, x: torch.maximum(s.a(x), s.b(x)).reshape(len(x), 5, 2).amax(2),
            a=nn.Linear(2, 10),
            b=nn.Linear(2, 10),
        ),
        lambda: nn.Sequential(
            nn.Linear(2, 16),
            nn.Hardtanh(),
            nn.Linear(16, 8),
            nn.Threshold(0.0, 0.0),
            nn.Linear(8, 2),
        ),
    ],
    ids=["mlp", "relatives", "residual", "maxima", "bounds"],
)
def test_counts_agree_with_a_fine_grid(make):
    for seed in range(3):
        model, ends = drawn(make, seed), normal(2, 2, seed=seed)
        assert count_linear_regions(model, ends[:1], ends[1:]).item() == by_grid(
            model, ends[0], ends[1]
        )


def test_counts_with_maximum_pooling_agree_with_a_fine_grid():
    image = drawn(
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, padding=1),
            nn.Flatten(),
            nn.Linear(27, 2),
        )
    )
    line = drawn(
        lambda: nn.Sequential(
            nn.Conv1d(1, 3, 3), nn.MaxPool1d(3, 1), nn.Flatten(), nn.Linear(12, 2)
        )
    )
    for model, shape in ((image, (2, 1, 4, 4)), (line, (2, 1, 8))):
        ends = normal(*shape)
        assert count_linear_regions(model, ends[:1], ends[1:]).item() == by_grid(
            model, ends[0], ends[1], 100_001
        )


def test_regions_of_a_batch_one_by_one_and_of_a_linear_map():
    model, a, b = mlp(), normal(3, 4), normal(3, 4, seed=5)
    each = [count_linear_regions(model, a[[k]], b[[k]]).item() for k in range(3)]
    assert count_linear_regions(model, a, b).tolist() == each
    assert count_linear_regions(model, b, a).tolist() == each
    assert count_linear_regions(model, a, a).tolist() == [1, 1, 1]
    assert count_linear_regions(nn.Linear(4, 3), a.float(), b.float()).tolist() == [1, 1, 1]


def test_networks_that_are_not_piecewise_linear_are_refused():
    model = drawn(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))
    with pytest.raises(ValueError, match="piecewise linear"):
        count_linear_regions(model, normal(1, 4), normal(1, 4, seed=1))
    with pytest.raises(ValueError, match="end: expected .* shape"):
        count_linear_regions(mlp(), normal(1, 4), normal(2, 4))
    with pytest.raises(TypeError, match="end: expected a torch.Tensor, got float"):
        count_linear_regions(mlp(), normal(1, 4), 1.0)


# ---------------------------------------------------------------- the reference libraries


def test_captum_agrees_where_the_definition_is_the_same():
    captum = pytest.importorskip("captum.attr")
    model, x, c = (
        drawn(lambda: models.cnn(1, 8, width=4), dtype=torch.float64),
        normal(4, 1, 8, 8),
        torch.tensor([1, 0, 9, 3]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peers = {
            gradient: captum.Saliency(model).attribute(x.clone(), target=c, abs=False),
            gradient_x_input: captum.InputXGradient(model).attribute(x.clone(), target=c),
            deconvnet: captum.Deconvolution(model).attribute(x.clone(), target=c),
            guided_backprop: captum.GuidedBackprop(model).attribute(x.clone(), target=c),
            integrated_gradients: captum.IntegratedGradients(model).attribute(
                x.clone(), target=c, n_steps=50, method="riemann_middle"
            ),
        }
        layer = captum.LayerGradCam(model, model[5]).attribute(
            x.clone(), target=c, relu_attributions=True
        )
        guided = captum.GuidedGradCam(model, model[5]).attribute(
            x.clone(), target=c, interpolate_mode="bilinear"
        )
        smooth = captum.NoiseTunnel(captum.Saliency(model)).attribute(
            x[:1].clone(),
            nt_type="smoothgrad",
            nt_samples=4000,
            stdevs=0.2,
            target=c[:1],
            abs=False,
        )
    for method, peer in peers.items():
        assert torch.allclose(method(model, x, c), peer.detach(), atol=1e-10), method.__name__
    wanted = captum.LayerAttribution.interpolate(layer, (8, 8), "bilinear").detach()
    assert torch.allclose(grad_cam(model, x, c, "5"), wanted, atol=1e-10)
    assert torch.allclose(
        guided_backprop(model, x, c) * grad_cam(model, x, c, "5"), guided.detach(), atol=1e-10
    )
    ours = smoothgrad(model, x[:1], c[:1], samples=4000, sigma=0.2)
    spread = torch.stack(
        [gradient(model, x[:1] + 0.2 * normal(1, 1, 8, 8, seed=k), c[:1]) for k in range(200)]
    ).std(0)
    assert ((ours - smooth).abs() < 6 * spread * (2 / 4000) ** 0.5 + 1e-9).all()


def test_captum_agrees_where_no_unit_reaches_its_cap():
    """It knows nn.ReLU alone: below the cap ReLU6 is no other function."""
    captum = pytest.importorskip("captum.attr")
    model, x = drawn(lambda: models.cnn(1, 8, width=4)), normal(4, 1, 8, 8)
    capped = copy.deepcopy(model)
    for k, module in enumerate(model):
        if isinstance(module, nn.ReLU):
            capped[k] = nn.Hardtanh(0.0, 1e6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guided = captum.GuidedBackprop(model).attribute(x.clone(), target=3)
        deconvolved = captum.Deconvolution(model).attribute(x.clone(), target=3)
    assert torch.allclose(guided_backprop(capped, x, 3), guided, atol=1e-10)
    assert torch.allclose(deconvnet(capped, x, 3), deconvolved, atol=1e-10)


def test_zennit_agrees():
    pytest.importorskip("zennit")
    from zennit.attribution import IntegratedGradients
    from zennit.composites import GuidedBackprop

    model, x = drawn(lambda: models.cnn(1, 8, width=4)), normal(3, 1, 8, 8)
    chosen = lambda scores: F.one_hot(torch.full((3,), 2), 10).to(scores)
    from zennit.attribution import Gradient

    with Gradient(model, GuidedBackprop()) as attributor:
        assert torch.allclose(
            guided_backprop(model, x, 2), attributor(x.clone(), chosen)[1], atol=1e-10
        )
    with IntegratedGradients(model, n_iter=2000) as attributor:
        theirs = attributor(x.clone(), chosen)[1]
    assert torch.allclose(integrated_gradients(model, x, 2, steps=2000), theirs, atol=5e-3)


# ---------------------------------------------------------------- the contract


@EVERY_ON_IMAGES
def test_a_batch_of_one_is_a_row_of_a_batch_and_float32_is_float64(method):
    model, x = drawn(gap), normal(4, 2, 8, 12)
    R = method(model, x, torch.tensor([2, 0, 1, 2]))
    assert R.shape == x.shape and R.dtype == x.dtype and not R.requires_grad
    assert torch.allclose(method(model, x[2:3], 1), R[2:3], atol=1e-10)
    single = method(copy.deepcopy(model).float(), x.float(), torch.tensor([2, 0, 1, 2]))
    assert single.dtype == torch.float32
    if method is not smoothgrad:  # other noise
        assert torch.allclose(single.double(), R, rtol=1e-3, atol=1e-4)


@EVERY_ON_IMAGES
def test_nothing_is_left_changed(method):
    model, x = (
        drawn(lambda: nn.Sequential(nn.BatchNorm2d(2), *gap()[:6], nn.Dropout(), *gap()[6:])),
        normal(3, 2, 8, 8),
    )
    model.train()
    model[0].eval()
    model[1].weight.requires_grad_(False)
    model[4].weight.grad = torch.ones_like(model[4].weight)
    before, x_before, state = copy.deepcopy(model.state_dict()), x.clone(), torch.get_rng_state()
    modes, hooks = (
        [m.training for m in model.modules()],
        [len(m._forward_hooks) for m in model.modules()],
    )
    for wrong in (False, True):
        if wrong:
            with pytest.raises(ValueError, match="target: expected classes in 0..2, got"):
                method(model, x, 3)
        else:
            with torch.no_grad():
                assert torch.equal(method(model, x), method(model, x))
        assert modes == [m.training for m in model.modules()] and hooks == [
            len(m._forward_hooks) for m in model.modules()
        ]
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert (
            torch.equal(x, x_before)
            and not x.requires_grad
            and torch.equal(state, torch.get_rng_state())
        )
        assert not model[1].weight.requires_grad and model[4].weight.requires_grad
        assert (
            torch.equal(model[4].weight.grad, torch.ones_like(model[4].weight))
            and model[1].weight.grad is None
        )


def test_count_leaves_nothing_changed():
    model, x = mlp().float().train(), normal(2, 4, dtype=torch.float32)
    before = copy.deepcopy(model.state_dict())
    count_linear_regions(model, x, x + 1)
    assert model.training and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@EVERY_ON_IMAGES
def test_bad_arguments_are_named(method):
    model, x = drawn(gap), normal(2, 2, 8, 8)
    for arguments, error, words in (
        ((lambda x: x, x), TypeError, "model: expected"),
        ((model, x.numpy()), TypeError, "x: expected"),
        ((model, x.float()), TypeError, "x: expected"),
        ((model, x * float("nan")), ValueError, "x: expected finite"),
        ((model, x, "0"), TypeError, "target: expected"),
        ((model, x, torch.tensor([0, 1, 2])), ValueError, "target: expected shape"),
        ((model, x, -1), ValueError, "target: expected classes"),
        ((Net(lambda s, x: x.detach().flatten(1)), x), ValueError, "model: .*"),
    ):
        with pytest.raises(error, match=words):
            method(*arguments)


@pytest.mark.parametrize(
    ("method", "options", "error", "words"),
    [
        (smoothgrad, {"samples": 0}, ValueError, "samples: expected an int >= 1, got 0"),
        (smoothgrad, {"samples": 1.5}, TypeError, "samples: expected an int"),
        (smoothgrad, {"sigma": -1}, ValueError, "sigma: expected a number >= 0"),
        (integrated_gradients, {"steps": 0}, ValueError, "steps: expected"),
        (smoothgrad, {"sigma": "a"}, ValueError, "sigma: expected"),
        (
            integrated_gradients,
            {"baseline": torch.zeros(5)},
            ValueError,
            "baseline: expected a shape that broadcasts",
        ),
        (integrated_gradients, {"baseline": "black"}, TypeError, "baseline: expected a number"),
        (integrated_gradients, {"baseline": float("nan")}, ValueError, "baseline: expected finite"),
    ],
)
def test_bad_options_are_named(method, options, error, words):
    with pytest.raises(error, match=words):
        method(mlp(), normal(2, 4), **options)


def test_a_model_that_works_in_place_on_its_input():
    model, plain = (
        drawn(lambda: Net(forward, a=nn.Linear(4, 3)))
        for forward in (lambda s, x: s.a(x.mul_(2)), lambda s, x: s.a(x * 2))
    )
    for method in METHODS:
        x = normal(2, 4)
        assert torch.allclose(method(model, x), method(plain, x)) and torch.equal(x, normal(2, 4))


def test_other_shapes_than_images():
    words = drawn(
        lambda: Net(
            lambda s, x: s.out(s.lstm(x)[0][:, -1]),
            lstm=nn.LSTM(3, 4, batch_first=True),
            out=nn.Linear(4, 2),
        )
    )
    for method in METHODS:
        assert method(words, normal(2, 5, 3)).shape == (2, 5, 3)


def test_the_scenes_network_looks_where_the_object_is():
    scenes, model = data.scenes(100, seed=9, context=0), models.pretrained("scenes_gap")
    R = sensitivity(model, scenes.images, scenes.labels).sum(1)
    on = (R * scenes.object_masks).sum((1, 2)) / R.sum((1, 2))
    assert on.mean() > 2 * scenes.object_masks.float().mean()
