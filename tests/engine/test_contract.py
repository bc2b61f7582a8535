"""What all explanation methods share: arguments, the class, and the model and the random state left
alone.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lib.engine import check_arguments, check_scores, class_index, gradient_of_score, undisturbed

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
