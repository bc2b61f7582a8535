"""What a method may disturb: a network in which everything can be, and how to tell that nothing
was.
"""

import numpy as np
import pytest
import torch
from drawn import drawn
from torch import nn


def state_of(model, x):
    return {
        "parameters": [
            (
                p.detach().clone(),
                p.requires_grad,
                None if p.grad is None else p.grad.clone(),
                p._version,
            )
            for p in model.parameters()
        ],
        "buffers": [b.clone() for b in model.buffers()],
        "training": [m.training for m in model.modules()],
        "hooks": [
            [len(h) for h in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "x": (x.detach().clone(), x.requires_grad, x.grad, x._version),
        "random": torch.get_rng_state(),
        "numpy": np.random.get_state()[1],
        "grad": torch.is_grad_enabled(),
        "modes": torch._C._len_torch_function_stack(),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, (dict,)):
        return all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


class Counter(nn.Module):
    """Counts its calls, draws noise it does not use, drops out, and fails when it is told to."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("last", torch.zeros(1))
        self.fail = False

    def forward(self, h):
        self.calls += 1
        self.last = self.calls * 2
        torch.randn(3)
        if self.fail:
            raise RuntimeError("told to fail")
        return h


def result_of_an_undisturbing(method, images, fail):
    """method(model, x, 0) for images (N, 2, 6, 6) and a network half trained, half frozen, with
    hooks, which fails inside if it is told to.

    Everything must be as before, and the result, the first one of several, must be of x's kind and
    without a graph.
    """
    model = drawn(
        lambda: nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            Counter(),
            nn.Flatten(),
            nn.Linear(144, 3),
        )
    )
    model.train()
    model[2].eval()
    model[1].weight.requires_grad_(False)
    model(images)[:, 0].sum().backward()
    model[3].register_forward_hook(lambda *_: None)
    model[1].register_full_backward_hook(lambda *_: None)
    model[5].fail = fail
    x, result = images.clone().requires_grad_(), None
    before = state_of(model, x)
    if fail:
        with pytest.raises(RuntimeError, match="told to fail"):
            method(model, x, 0)
    else:
        result = method(model, x, 0)
        relevance = result[0] if isinstance(result, tuple) else result
        assert not relevance.requires_grad and relevance.grad_fn is None
        assert (relevance.shape, relevance.dtype, relevance.device) == (x.shape, x.dtype, x.device)
    assert same(before, state_of(model, x))
    return result
