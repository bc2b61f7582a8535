"""Unusual circumstances: deep and large, low precision, threads, interrupts, many calls."""

import gc
import sys
import threading

import pytest
import torch
from torch import nn

from lib.lrp import Gamma, Zero, lrp
from lib.models import seeded
from lib.sensitivity import gradient, integrated_gradients, smoothgrad

METHODS = {
    "lrp": lambda model, x: lrp(model, x, 0),
    "gradient": lambda model, x: gradient(model, x, 0),
    "smoothgrad": lambda model, x: smoothgrad(model, x, 0, samples=4),
    "integrated gradients": lambda model, x: integrated_gradients(model, x, 0, steps=4),
}


def network():
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(144, 3),
        )


def images(count=2, dtype=torch.float32):
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1)).to(dtype)


def test_thousands_of_layers():
    with seeded(0):
        layers = [part for _ in range(2000) for part in (nn.Linear(4, 4, bias=False), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(4, 2, bias=False)).double()
    for module in model:
        if isinstance(module, nn.Linear):  # of a size that neither grows nor vanishes
            nn.init.eye_(module.weight)
    x = torch.rand(2, 4, dtype=torch.float64) + 0.5
    torch.testing.assert_close(lrp(model, x, 1, Zero()).sum(1), model(x)[:, 1].detach())


def test_batches_of_thousands_give_what_single_samples_give():
    model, x = network(), images(4096)
    for name, method in METHODS.items():
        together = method(model, x)
        assert together.shape == x.shape and together.isfinite().all()
        if name != "smoothgrad":  # whose noise is that of the place in the batch
            torch.testing.assert_close(together[[7, 4095]], method(model, x[[7, 4095]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", METHODS)
def test_low_precision_gives_the_same_to_its_precision_and_keeps_the_dtype(name, dtype):
    model, x = network().eval(), images(dtype=dtype)
    wanted = METHODS[name](model, x.float())
    low = METHODS[name](model.to(dtype), x)
    assert low.dtype == dtype
    error = (low.float() - wanted).norm() / wanted.norm()
    assert error < (0.3 if name == "smoothgrad" else 0.1)  # the noise is drawn in its precision


@pytest.mark.parametrize("rules", ["epsilon_plus", "epsilon_gamma_box", Gamma(0.25)], ids=str)
def test_two_threads_explain_one_model_in_training_mode(rules):
    model, x = network().train(), images(8)
    wanted, found, stop = lrp(model, x, 0, rules), [], threading.Event()

    def work():
        while not stop.is_set():
            found.append(lrp(model, x, 0, rules))
            found.append(gradient(model, x, 0))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    stop.wait(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    slopes = gradient(model, x, 0)
    assert len(found) > 8 and all(module.training for module in model.modules())
    for k, relevance in enumerate(found):
        assert torch.equal(relevance, wanted) or torch.equal(relevance, slopes), k


class Interrupts:
    """Raises KeyboardInterrupt in the main thread at the n-th line that is run."""

    def __init__(self, after):
        self.left = after

    def __call__(self, frame, event, arg):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("name", METHODS)
def test_an_interrupt_anywhere_leaves_the_model_as_it_was(name):
    """At each line of contract.py that runs, and here and there elsewhere."""
    model, x = network().train(), images(1)
    METHODS[name](model, x)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random, interrupted = torch.get_rng_state(), 0
    for after in [*range(1, 120), *range(120, 3000, 61)]:
        tracer = sys.gettrace()
        sys.settrace(Interrupts(after))
        try:
            METHODS[name](model, x)
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.settrace(tracer)
        assert all(module.training for module in model.modules()), after
        assert torch._C._len_torch_function_stack() == 0, after
        assert torch.equal(torch.get_rng_state(), random), after
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key]), (after, key)
    assert interrupted > 100


@pytest.mark.parametrize("name", METHODS)
def test_two_hundred_calls_leave_nothing_behind(name):
    model, x = network(), images(1)

    def count():
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    METHODS[name](model, x)
    before = count()
    for _ in range(200):
        METHODS[name](model, x)
    assert count() == before
