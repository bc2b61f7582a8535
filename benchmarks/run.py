"""LRP against Captum and Zennit, as ratios to one forward and one backward pass of the same network in the same run.

    make bench            the table of the README of this folder, written to benchmarks/results.md

Unit: one forward + one backward pass to the input, parameters frozen. The unit and every method are called in turn, in
one process, and the 20 % quantile of the process's CPU time over all rounds is taken.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import gc
import platform
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # tests: the stand-in for torchvision that zennit imports

import numpy as np
import torch
from captum.attr import LRP as CaptumLRP
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn
from tqdm import tqdm
from zennit.attribution import Gradient
from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus, LayerMapComposite
from zennit.rules import Epsilon as ZennitEpsilon
from zennit.types import Linear as ZennitLinear

from lib import models
from lib.lrp import Epsilon, lrp

LIMITS = {"epsilon": (1.3, 1.5, 1.15), "epsilon_plus": (1.5, 1.6, 1.6),
          "epsilon_gamma_box": (2.0, 2.2, 1.7), "epsilon_alpha2_beta1": (2.1, 2.2, 2.2)}


def unit(model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    scores = model(leaf)
    return torch.autograd.grad(scores.gather(1, scores.argmax(1, keepdim=True)).sum(), leaf)[0]


def zennit(composite: object) -> Callable[[nn.Module, Tensor], Tensor]:
    def explain(model: nn.Module, x: Tensor) -> Tensor:
        with Gradient(model, composite) as attributor:
            return attributor(x, lambda scores: torch.zeros_like(scores).scatter_(1, (i := scores.argmax(1, keepdim=True)), scores.gather(1, i)))[1]
    return explain


def captum_epsilon(model: nn.Module, x: Tensor) -> Tensor:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.MaxPool2d)):
            module.rule = EpsilonRule(1e-6)
        elif isinstance(module, nn.Flatten):
            module.rule = EpsilonRule(0)
    return CaptumLRP(model).attribute(x.requires_grad_(), target=model(x).argmax(1))


METHODS = {
    "epsilon": {"lib": lambda m, x: lrp(m, x, rules=Epsilon()), "captum": captum_epsilon,
                "zennit": zennit(LayerMapComposite([(ZennitLinear, ZennitEpsilon())]))},
    "epsilon_plus": {"lib": lambda m, x: lrp(m, x, rules="epsilon_plus"), "zennit": zennit(EpsilonPlus())},
    "epsilon_gamma_box": {"lib": lambda m, x: lrp(m, x, rules="epsilon_gamma_box"), "zennit": zennit(EpsilonGammaBox(0.0, 1.0))},
    "epsilon_alpha2_beta1": {"lib": lambda m, x: lrp(m, x, rules="epsilon_alpha2_beta1"), "zennit": zennit(EpsilonAlpha2Beta1())},
}


def cases(names: list[str]) -> dict[str, tuple[nn.Module, Tensor, int]]:
    """Network, input and number of rounds of each case."""
    generator = torch.Generator().manual_seed(0)
    built = {
        "small CNN, batch 256": lambda: (models.cnn(1, 28), torch.rand(256, 1, 28, 28, generator=generator), 24),
        "small CNN, batch 1": lambda: (models.cnn(1, 28), torch.rand(1, 1, 28, 28, generator=generator), 400),
        "VGG16 shape, batch 1": lambda: (models.vgg16(), torch.rand(1, 3, 224, 224, generator=generator), 20),
    }
    return {name: make() for name, make in built.items() if not names or any(part in name for part in names)}


def measure(model: nn.Module, x: Tensor, rounds: int, methods: dict[str, Callable]) -> dict[str, float]:
    """The 20 % quantile of each method's CPU time, as a ratio to that of the unit."""
    model.eval().requires_grad_(False)
    calls = {"unit": unit} | methods
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in tqdm(range(rounds + 2), leave=False):
        for name, call in calls.items():
            gc.collect() if x.numel() > 1e5 else None
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(model, x.clone())
            if turn >= 2:  # the first two rounds warm up
                times[name].append(time.process_time() - began)
    quantile = {name: float(np.quantile(values, 0.2)) for name, values in times.items()}
    return {name: quantile[name] / quantile["unit"] for name in methods}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", help="part of a case's name, e.g. 'batch 1'")
    parser.add_argument("--only-lib", action="store_true", help="leave the reference libraries out")
    arguments = parser.parse_args()
    lines = [f"torch {torch.__version__}, captum {version('captum')}, zennit {version('zennit')}, Python {platform.python_version()}, "
             f"{torch.get_num_threads()} threads. Unit: one forward + one backward pass.", "",
             "| rule | case | lib | target | Captum | Zennit |", "|---|---|---|---|---|---|"]
    for case, (model, x, rounds) in cases(arguments.case).items():
        column = ["256", "1,", "VGG"].index(next(c for c in ("256", "VGG", "1,") if c in case + ","))
        flat = {f"{rule} {library}": call for rule, calls in METHODS.items() for library, call in calls.items()
                if library == "lib" or not arguments.only_lib}
        ratios = measure(model, x, rounds, flat)
        for rule in METHODS:
            row = [f"{ratios[f'{rule} {library}']:.2f}" if f"{rule} {library}" in ratios else "" for library in ("lib", "captum", "zennit")]
            lines.append(f"| {rule} | {case} | {row[0]} | {LIMITS[rule][column]} | {row[1]} | {row[2]} |")
            print(lines[-1], flush=True)
    if not arguments.case and not arguments.only_lib:
        (ROOT / "benchmarks" / "results.md").write_text("# Cost of LRP\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
