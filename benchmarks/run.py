"""The methods of lib against Captum and Zennit, as ratios to one forward and one backward pass of
the same network in the same run.

    make bench            the table, written to benchmarks/results.md

Unit: one forward + one backward pass to the input, parameters frozen. The unit and one method are
called in turn, in one process, and the 20 % quantile of the process's CPU time over all rounds is
taken.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
# tests: the stand-in for torchvision that zennit imports
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tools"),
    str(ROOT / "tests"),
]

import numpy as np
import torch
from captum.attr import LRP as CaptumLRP
from captum.attr import GuidedBackprop, IntegratedGradients
from captum.attr import KernelShap as CaptumKernelShap
from captum.attr import Lime as CaptumLime
from captum.attr import Occlusion as CaptumOcclusion
from captum.attr._utils.lrp_rules import EpsilonRule
from measure import unit
from torch import Tensor, nn
from zennit.attribution import Gradient
from zennit.attribution import IntegratedGradients as ZennitIntegratedGradients
from zennit.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus, LayerMapComposite
from zennit.composites import GuidedBackprop as ZennitGuidedBackprop
from zennit.rules import Epsilon as ZennitEpsilon
from zennit.types import Linear as ZennitLinear

from lib import models, training
from lib.evaluation import pixel_flipping
from lib.interpretability import lime, occlusion, shapley
from lib.lrp import Epsilon, lrp
from lib.sensitivity import guided_backprop, integrated_gradients
from lib.uncertainty import Ensemble

STEPS = 10
REGIONS = (torch.arange(28) // 4)[:, None] * 7 + torch.arange(28) // 4  # 49 squares
LIMITS: dict[str, tuple] = {
    "epsilon": (1.3, 1.5, 1.15),
    "epsilon_plus": (1.5, 1.6, 1.6),
    "epsilon_gamma_box": (2.0, 2.2, 1.7),
    "epsilon_alpha2_beta1": (2.1, 2.2, 2.2),
    f"integrated gradients, {STEPS} steps": (1.05 * STEPS, ""),
    "guided backprop": (1.2, "", ""),  # a case without a limit is not run
    "occlusion, 49 windows": (0.65 * 50, ""),
    "LIME, 200 samples": (None, 50),
    "kernel SHAP, 200 samples": (None, 50),
    "pixel flipping, 28 steps, in forward passes": (round(1.1 * 28, 1),),
}


@torch.no_grad()
def forward_pass(model: nn.Module, x: Tensor) -> Tensor:
    return model(x)


def flip(model: nn.Module, x: Tensor) -> Tensor:
    return pixel_flipping(model, x, x, 0, replace=0.0, steps=28).scores


def zennit(composite: object) -> Callable[[nn.Module, Tensor], Tensor]:
    def explain(model: nn.Module, x: Tensor) -> Tensor:
        with Gradient(model, composite) as attributor:
            return attributor(
                x,
                lambda scores: torch.zeros_like(scores).scatter_(
                    1, (i := scores.argmax(1, keepdim=True)), scores.gather(1, i)
                ),
            )[1]

    return explain


def zennit_integrated(model: nn.Module, x: Tensor) -> Tensor:
    with ZennitIntegratedGradients(model, n_iter=STEPS) as attributor:
        return attributor(
            x,
            lambda scores: torch.zeros_like(scores).scatter_(
                1, scores.argmax(1, keepdim=True), 1.0
            ),
        )[1]


def captum_epsilon(model: nn.Module, x: Tensor) -> Tensor:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.MaxPool2d)):
            module.rule = EpsilonRule(1e-6)
        elif isinstance(module, nn.Flatten):
            module.rule = EpsilonRule(0)
    return CaptumLRP(model).attribute(x.requires_grad_(), target=model(x).argmax(1))


def captum_samples(method: type) -> Callable[[nn.Module, Tensor], Tensor]:
    return lambda m, x: method(m).attribute(
        x,
        target=m(x).argmax(1),
        feature_mask=REGIONS[None, None],
        n_samples=200,
        perturbations_per_eval=200,
    )


class Block(nn.Module):
    """A residual block as in ResNet: two convolutions with batch normalisation, and the input
    added.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norms[0](self.convolutions[0](x)))
        return torch.relu(self.norms[1](self.convolutions[1](h)) + x)


class Branches(nn.Module):
    """Two convolutions side by side, concatenated, as in Inception."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow, self.wide = (
            nn.Conv2d(channels, channels // 2, 1),
            nn.Conv2d(channels, channels // 2, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.cat([self.narrow(x), self.wide(x)], 1))


class Reader(nn.Module):
    """An LSTM with a dense layer on its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(32, 64, batch_first=True), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def tower(block: type[nn.Module], count: int) -> nn.Sequential:
    with models.seeded(0):
        blocks = [block(16) for _ in range(count)]
        return nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            *blocks,
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(1024, 10),
        )


METHODS = {
    "epsilon": {
        "lib": lambda m, x: lrp(m, x, rules=Epsilon()),
        "captum": captum_epsilon,
        "zennit": zennit(LayerMapComposite([(ZennitLinear, ZennitEpsilon())])),
    },
    "epsilon_plus": {
        "lib": lambda m, x: lrp(m, x, rules="epsilon_plus"),
        "zennit": zennit(EpsilonPlus()),
    },
    "epsilon_gamma_box": {
        "lib": lambda m, x: lrp(m, x, rules="epsilon_gamma_box"),
        "zennit": zennit(EpsilonGammaBox(0.0, 1.0)),
    },
    "epsilon_alpha2_beta1": {
        "lib": lambda m, x: lrp(m, x, rules="epsilon_alpha2_beta1"),
        "zennit": zennit(EpsilonAlpha2Beta1()),
    },
    f"integrated gradients, {STEPS} steps": {
        "lib": lambda m, x: integrated_gradients(m, x, steps=STEPS),
        "zennit": zennit_integrated,
        "captum": lambda m, x: IntegratedGradients(m).attribute(
            x, target=m(x).argmax(1), n_steps=STEPS
        ),
    },
    "guided backprop": {
        "lib": guided_backprop,
        "captum": lambda m, x: GuidedBackprop(m).attribute(x, target=m(x).argmax(1)),
        "zennit": zennit(ZennitGuidedBackprop()),
    },
    "occlusion, 49 windows": {
        "lib": lambda m, x: occlusion(m, x, window=4),
        "captum": lambda m, x: CaptumOcclusion(m).attribute(
            x,
            (1, 4, 4),
            (1, 4, 4),
            target=m(x).argmax(1),
            perturbations_per_eval=49 if len(x) == 1 else 1,
        ),
    },
    "LIME, 200 samples": {
        "lib": lambda m, x: lime(m, x, regions=REGIONS),
        "captum": captum_samples(CaptumLime),
    },
    "kernel SHAP, 200 samples": {
        "lib": lambda m, x: shapley(m, x, regions=REGIONS),
        "captum": captum_samples(CaptumKernelShap),
    },
    "pixel flipping, 28 steps, in forward passes": {"lib": flip},
}


def cases(names: list[str]) -> dict[str, tuple[nn.Module, Tensor, int]]:
    """Network, input and number of rounds of each case."""
    generator = torch.Generator().manual_seed(0)
    built = {
        "small CNN, batch 256": lambda: (
            models.cnn(1, 28),
            torch.rand(256, 1, 28, 28, generator=generator),
            24,
        ),
        "small CNN, batch 1": lambda: (
            models.cnn(1, 28),
            torch.rand(1, 1, 28, 28, generator=generator),
            400,
        ),
        "VGG16 shape, batch 1": lambda: (
            models.vgg16(),
            torch.rand(1, 3, 224, 224, generator=generator),
            20,
        ),
    }
    for size, rounds in ((32, 24), (1, 120)):
        built |= {
            f"residual, batch {size}": lambda n=size, k=rounds: (
                tower(Block, 3),
                torch.rand(n, 3, 32, 32, generator=generator),
                k,
            ),
            f"branches, batch {size}": lambda n=size, k=rounds: (
                tower(Branches, 4),
                torch.rand(n, 3, 32, 32, generator=generator),
                k,
            ),
            f"LSTM of 20 steps, batch {size}": lambda n=size, k=rounds: (
                Reader(),
                torch.randn(n, 20, 32, generator=generator),
                k,
            ),
        }
    return {
        name: make()
        for name, make in built.items()
        if not names or any(part in name for part in names)
    }


def target(case: str, rule: str, column: int | None) -> float | str:
    """The ratio that lib should not exceed."""
    return (
        LIMITS[rule][column]
        if column is not None
        else 3
        if "LSTM" in case
        else 1.5
        if rule == "epsilon"
        else ""
    )


def measure(model: nn.Module, x: Tensor, rounds: int, method: Callable) -> float:
    """The 20 % quantile of the method's CPU time, as a ratio to that of the unit; the two are
    called in turn.
    """
    against = forward_pass if method is flip else unit
    times: dict[Callable, list[float]] = {against: [], method: []}
    for turn in range(rounds + 2):
        for call, kept in times.items():
            gc.collect() if x.numel() > 1e5 else None
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(model, x.clone())
            if turn >= 2:  # the first two rounds warm up
                kept.append(time.process_time() - began)
    return float(np.quantile(times[method], 0.2) / np.quantile(times[against], 0.2))


def ensembles() -> list[str]:
    """CPU time of a Python loop over the members of an ensemble, in units of the vectorised one:
    rows of a table.
    """
    mlp, kinds = (
        models.mlp,
        (
            (50, "2-32-32-2", 2),
            (10, "2-32-32-2", 2),
            (20, "64-64-64-10", 64),
            (10, "784-128-128-10", 784),
            (5, "CNN 28 x 28", 28),
        ),
    )
    lines = [
        "",
        (
            "An ensemble against a loop over its members, as a ratio of CPU time: above 1 the "
            "ensemble is quicker. Dense ones gain from one fused Adam step as well. Batches of 64; "
            "4 epochs of 512 samples; inference with 64 and 1,000 rows."
        ),
        "",
        "| members | network | training | 64 rows | 1,000 rows |",
        "|---|---|---|---|---|",
    ]
    for members, name, inputs in kinds:

        def make(seed: int, inputs: int = inputs) -> nn.Module:
            return (
                models.cnn(1, 28, width=8, seed=seed)
                if inputs == 28
                else mlp(
                    inputs,
                    {2: (32, 32), 64: (64, 64), 784: (128, 128)}[inputs],
                    2 if inputs == 2 else 10,
                    seed=seed,
                )
            )

        shape = (1, 28, 28) if inputs == 28 else (inputs,)
        generator = torch.Generator().manual_seed(0)
        x, y = torch.randn(1000, *shape, generator=generator), torch.arange(1000) % 2
        ensemble, alone = Ensemble(make, members), [make(seed) for seed in range(members)]

        def fit_loop() -> None:
            for seed in range(members):
                training.fit(make(seed), x[:512], y[:512], 4, seed=seed, progress=False)

        row = [
            turns(
                fit_loop,
                lambda: Ensemble(make, members).fit(x[:512], y[:512], 4, progress=False),
                3 if inputs == 28 else 7,
            )
        ]
        with torch.no_grad():
            row += [
                turns(
                    lambda: torch.stack([m(x[:n]) for m in alone]),
                    lambda: ensemble.eval()(x[:n]),
                    30,
                )
                for n in (64, 1000)
            ]
        lines.append(
            f"| {members} | {name} | " + " | ".join(f"{ratio:.2f}" for ratio in row) + " |"
        )
        print(lines[-1], flush=True)
    return lines


def turns(first: Callable[[], object], second: Callable[[], object], rounds: int) -> float:
    """CPU time of the first call in units of the second, called in turn: 20 % quantiles."""
    times: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for call, kept in zip((first, second), times):
            began = time.process_time()
            call()
            if turn:  # the first round warms up
                kept.append(time.process_time() - began)
    return float(np.quantile(times[0], 0.2) / np.quantile(times[1], 0.2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "case", nargs="*", help="part of a case's name, e.g. 'batch 1', or 'ensembles'"
    )
    parser.add_argument("--only-lib", action="store_true", help="leave the reference libraries out")
    arguments = parser.parse_args()
    lines = [
        f"torch {torch.__version__}, captum {version('captum')}, zennit {version('zennit')}, "
        f"Python {platform.python_version()}, "
        f"threads: {torch.get_num_threads()}. Unit: one forward + one backward pass.",
        "",
        "| method | case | lib | target | Captum | Zennit |",
        "|---|---|---|---|---|---|",
    ]
    for case, (model, x, rounds) in cases(arguments.case).items():
        column = next(
            (k for k, part in enumerate(("CNN, batch 256", "CNN, batch 1", "VGG")) if part in case),
            None,
        )
        rules = ["epsilon"] if "LSTM" in case else ["epsilon", "epsilon_plus"]
        if column is not None:
            rules = [
                rule
                for rule in METHODS
                if len(LIMITS[rule]) > column and LIMITS[rule][column] is not None
            ]
        model.eval().requires_grad_(False)
        for rule in rules:
            # they refuse or misread the other networks
            peers = not (arguments.only_lib or column is None)
            row = [
                f"{measure(model, x, rounds, METHODS[rule][library]):.2f}"
                if library in METHODS[rule] and (peers or library == "lib")
                else ""
                for library in ("lib", "captum", "zennit")
            ]
            lines.append(
                f"| {rule} | {case} | {row[0]} | {target(case, rule, column)} | {row[1]} | "
                f"{row[2]} |"
            )
            print(lines[-1], flush=True)
    if not arguments.case or "ensembles" in arguments.case:
        lines += ensembles()
    if not arguments.case and not arguments.only_lib:
        (ROOT / "benchmarks" / "results.md").write_text(
            "# Cost of the methods\n\n" + "\n".join(lines) + "\n"
        )


if __name__ == "__main__":
    main()
