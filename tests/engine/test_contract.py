"""What all explanation methods share: arguments, the class, and the model and the random state left
alone.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn import Net
from torch import nn
from witness import same, state_of

from lib.engine import check_arguments, check_scores, class_index, gradient_of_score, undisturbed
from lib.interpretability import attention_rollout, lime, occlusion, prototype, shapley
from lib.lrp import Zero, deep_lift, lrp
from lib.models import seeded
from lib.sensitivity import (
    count_linear_regions,
    grad_cam,
    gradient,
    guided_backprop,
    integrated_gradients,
    smoothgrad,
)

SCORES = torch.tensor([[0.0, 2.0, 1.0], [3.0, 1.0, 2.0]])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (None, [1, 0]),
        (2, [2, 2]),
        (torch.tensor([0, 2]), [0, 2]),
        (torch.tensor(1), [1, 1]),
        (torch.tensor([1, 1], dtype=torch.uint8), [1, 1]),
    ],
    ids=str,
)
def test_the_class_is_the_highest_score_or_the_one_that_is_named(target, expected):
    index = class_index(SCORES, target)
    assert index.dtype == torch.long and index.tolist() == expected


def test_a_tie_goes_to_the_first_class():
    assert class_index(torch.zeros(1, 4), None).item() == 0


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (3, ValueError),
        (-1, ValueError),
        (torch.tensor([0, 3]), ValueError),
        (torch.tensor([[0, 1]]), ValueError),
        (torch.tensor([0]), ValueError),
        (1.0, TypeError),
        ("1", TypeError),
        (True, TypeError),
        ([0, 1], TypeError),
        (torch.tensor([0.0, 1.0]), TypeError),
        (torch.tensor([True, False]), TypeError),
    ],
    ids=str,
)
def test_a_class_that_is_none_is_refused(target, error):
    with pytest.raises(error, match="^target: expected .* got "):
        class_index(SCORES, target)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 1, 8, 8), (2, 5, 4)], ids=str)
def test_any_batch_of_finite_numbers_is_an_input(shape):
    check_arguments(nn.ReLU(), torch.zeros(shape))
    check_arguments(nn.Linear(2, 2).double(), torch.zeros(shape, dtype=torch.float64))


def test_large_finite_values_are_finite_though_their_sum_is_not():
    check_arguments(nn.ReLU(), torch.full((2, 3), 3e38))
    check_scores(torch.full((2, 3), -3e38), torch.zeros(2, 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 5])
def test_one_value_that_is_not_finite_is_refused(value, place):
    x = torch.zeros(2, 3)
    x.view(-1)[place] = value
    with pytest.raises(ValueError, match="^x: expected finite values"):
        check_arguments(nn.ReLU(), x)
    with pytest.raises(ValueError, match="^model: expected finite scores"):
        check_scores(x, x)


class Disturbing(nn.Module):
    """Changes a buffer in place, puts another object in its place, and draws random numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(2))
        self.register_buffer("mean", torch.ones(2))
        self.register_buffer("nothing", None)

    def forward(self, x):
        self.count += 1
        self.mean = self.mean * 2
        return x + torch.rand(1)


@pytest.mark.parametrize("error", [False, True])
def test_modes_buffers_and_random_state_come_back(error):
    model = nn.Sequential(Disturbing(), nn.Dropout(), nn.BatchNorm1d(2)).train()
    model[1].eval()
    mean, state = model[0].mean, torch.get_rng_state()
    try:
        with undisturbed(model, torch.ones(1, 2)):
            assert not any(module.training for module in model.modules())
            model(torch.ones(1, 2))
            assert model[0].count[0] == 1
            if error:
                raise KeyError
    except KeyError:
        pass
    assert [module.training for module in model] == [True, False, True]
    assert model[0].count.tolist() == [0, 0] and model[0].mean is mean and model[0].nothing is None
    assert torch.equal(state, torch.get_rng_state())
    assert int(model[2].num_batches_tracked) == 0


def test_a_buffer_that_nobody_wrote_to_is_not_touched():
    """A write would break a backward pass of the user that waits for it."""
    model = nn.BatchNorm1d(2)
    version = model.running_mean._version
    with undisturbed(model, torch.ones(1, 2)):
        model(torch.ones(3, 2))
    assert model.running_mean._version == version


def test_the_gradient_of_the_score_is_that_of_torch():
    model, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(6, 4)
    leaf = x.clone().requires_grad_()
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    expected = model(leaf)[torch.arange(6), target]
    expected.sum().backward()
    score, gradient = gradient_of_score(model, x, target)
    assert torch.equal(score, expected) and torch.equal(gradient, leaf.grad)
    assert not score.requires_grad and not gradient.requires_grad


def test_the_gradient_does_not_reach_the_parameters():
    model = nn.Linear(4, 3)
    gradient_of_score(model, torch.ones(1, 4), 0)
    assert model.weight.grad is None and model.weight.requires_grad


# ---------------------------------------------------------------- an input of the wrong shape


def reader():
    """Of images (N, 3, 10, 10), with everything in it that could be disturbed."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(),
        Disturbing(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


class InParts(nn.Module):
    """The same, as a module of its own."""

    def __init__(self):
        super().__init__()
        self.body = reader()

    def forward(self, x):
        return self.body(x * 1)


METHODS = [
    *(gradient, smoothgrad, guided_backprop, grad_cam),
    *(lrp, deep_lift),
    *(occlusion, lime, shapley, attention_rollout, prototype),
]
SHAPES = {
    "wrong channels": ((1, 1, 10, 10), "to have 3 channels, but got 1"),
    "too few dimensions": ((1, 3, 10), "to have 3 channels, but got 1"),
    "too many dimensions": ((1, 3, 10, 10, 1), r"Expected 3D \(unbatched\) or 4D"),
    "too small for its pooling": ((1, 3, 4, 4), "Output size is too small"),
    "wrong length for a linear layer": ((2, 3, 20, 20), "shapes cannot be multiplied"),
}


@pytest.mark.parametrize("make", [reader, InParts])
@pytest.mark.parametrize("shape, said", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_what_the_model_cannot_read_is_named_with_what_it_said(method, shape, said, make):
    if method is attention_rollout and len(shape) == 5:
        shape = (1, 10)  # more than four it refuses itself
    model, x = make().train(), torch.rand(shape)
    model.register_forward_pre_hook(lambda *_: None)
    before = state_of(model, x)
    with pytest.raises(ValueError) as refusal:
        method(model, x)
    start = f"x: the model cannot read an input of shape {shape}: "
    assert str(refusal.value).startswith(start) and re.search(said, str(refusal.value))
    assert isinstance(refusal.value.__cause__, RuntimeError)
    assert same(before, state_of(model, x))


def unpacking(self, x):
    N, C, H, W = x.shape
    return x.flatten(1)


def asserting(self, x):
    assert x.shape[1] == 3, f"Input height {x.shape[1]} is not 3"
    return x


@pytest.mark.parametrize(
    "model, shape, said",
    [
        (nn.BatchNorm2d(3), (2, 3, 4), "expected 4D input"),
        (Net(lambda s, x: x.sum(x.shape[3])), (2, 3, 4), "tuple index out of range"),
        (Net(lambda s, x: x.sum(3)), (2, 3, 4), "Dimension out of range"),
        (Net(unpacking), (2, 3, 4), "not enough values to unpack"),
        (Net(asserting), (2, 4), "Input height 4"),
        (Net(lambda s, x: x[:, 9:10] + x[:, 9]), (2, 4), "index 9 is out of bounds"),
        (nn.LayerNorm(5), (2, 4), "expected input with shape"),
        (nn.MultiheadAttention(4, 2), (2, 3, 4, 5), "4-D query"),
    ],
    ids=str,
)
def test_shapes_are_told_from_any_kind_of_error(model, shape, said):
    if isinstance(model, nn.MultiheadAttention):
        model = Net(lambda s, x: s.part(x, x, x)[0], part=model)
    with pytest.raises(ValueError, match=f"^x: the model cannot read .*{said}"):
        gradient(model, torch.rand(shape))


class OwnError(RuntimeError):
    pass


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("told to fail"),
        IndexError("index out of range in self"),
        AssertionError(""),
        OwnError("of a size that fits no shape"),
        torch.OutOfMemoryError("Tried to allocate 20 GiB, of the size of a dimension"),
        ValueError("words: expected shape (N, T)"),
        TypeError("x: expected another dimension"),
        KeyError("shape"),
    ],
    ids=repr,
)
def test_other_errors_arrive_as_they_are(error):
    def fails(self, x):
        raise error

    for method in (gradient, lrp, occlusion):
        with pytest.raises(type(error)) as refusal:
            method(Net(fails), torch.rand(2, 4))
        assert refusal.value is error


def test_an_error_that_is_not_the_inputs_arrives_as_it_is():
    """The model alone reads x: what fails is something else."""
    model, x = nn.Linear(4, 3), torch.rand(2, 4)
    with pytest.raises(RuntimeError, match="^mat1 and mat2 shapes"), undisturbed(model, x):
        model(x) @ x

    def sometimes(self, x):
        if x.requires_grad:
            raise RuntimeError("no gradient for this shape")
        return x

    with pytest.raises(RuntimeError, match="^no gradient for this shape"):
        gradient(Net(sometimes), x)


def test_the_shape_is_that_of_what_the_model_met():
    with pytest.raises(ValueError, match=r"x: the model cannot read an input of shape \(1, 7\)"):
        prototype(nn.Linear(4, 3), torch.rand(1, 2), decode=lambda z: z @ torch.ones(2, 7))
    # one sample is read, several are not
    alone = Net(lambda s, x: x.view(1, 4))
    with pytest.raises(ValueError, match=r"x: the model cannot read an input of shape \(50, 4\)"):
        smoothgrad(alone, torch.rand(1, 4))


def test_the_argument_has_the_name_that_the_method_gives_it():
    with pytest.raises(ValueError, match=r"^start: the model cannot read an input of shape"):
        count_linear_regions(nn.Linear(4, 3), torch.rand(2, 5), torch.rand(2, 5))


def test_no_library_draws_its_random_numbers_or_changes_settings_when_it_is_imported():
    code = """
import random, numpy, torch

def state():
    drawn = random.getstate(), str(numpy.random.get_state()), torch.get_rng_state().sum()
    return *drawn, torch.is_grad_enabled(), torch.get_default_dtype()

before = state()
import lib.lrp, lib.models, lib.data, lib.training, lib.plots
print(before == state())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert done.stdout.strip() == "True"


def test_every_error_names_an_argument():
    """Each message of these modules begins with the name of what was wrong, a colon, and what was
    expected.
    """
    lib = Path(__file__).parents[2] / "lib"
    for name in (
        "engine/contract",
        "engine/tracing",
        "lrp/propagation",
        "data/generated",
        "models/networks",
        "training",
    ):
        text = (lib / f"{name}.py").read_text()
        for message in re.findall(r'raise \w+Error\(f?"([^"]*)', text):
            assert re.match(r"[a-z_]+(, [a-z_]+)*: ", message), message


class Tokens(nn.Module):
    """A feature map behind a batch normalisation, of which one token is read: torch's own way back
    is wrong for one image.
    """

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.norm(self.conv(x)).flatten(2).transpose(1, 2)[:, 0])


@pytest.mark.parametrize(
    "method",
    [
        gradient,
        guided_backprop,
        lambda model, x, c: integrated_gradients(model, x, c, steps=3),
        lambda model, x, c: smoothgrad(model, x, c, samples=3),
        lambda model, x, c: grad_cam(model, x, c, layer=model.conv),
        lambda model, x, c: lrp(model, x, c, Zero()),
    ],
)
def test_one_image_gets_what_it_gets_in_a_batch_behind_a_batch_normalisation(method):
    with seeded(0):
        model = Tokens().eval()
        model.norm.running_var.uniform_(0.5, 1.5)
        x = torch.rand(2, 3, 8, 8)
    together = method(model, x, 1)
    alone = method(model, x[:1], 1)
    assert torch.allclose(alone, together[:1], rtol=1e-3, atol=1e-6)
