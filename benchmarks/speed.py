"""The cost of the methods, as ratios to one forward and one backward pass of the same network in
the same run, beside Captum, Zennit and LXT.
"""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from captum.attr import GuidedBackprop
from captum.attr import KernelShap as CaptumKernelShap
from captum.attr import Lime as CaptumLime
from captum.attr import Occlusion as CaptumOcclusion
from measure import unit
from networks import NETWORKS, Network
from peers import (
    Method,
    captum_epsilon,
    captum_integrated,
    lxt_attn,
    zennit,
    zennit_integrated,
    zennit_rules,
)
from timing import in_turn, table
from torch import Tensor, nn
from tqdm import tqdm
from zennit.composites import GuidedBackprop as ZennitGuidedBackprop

from lib import models
from lib.evaluation import pixel_flipping
from lib.interpretability import lime, occlusion, shapley
from lib.lrp import Composite, Epsilon, Gamma, ZBox, lrp
from lib.sensitivity import guided_backprop, integrated_gradients

STEPS = 10
INTEGRATED = f"integrated gradients, {STEPS} steps"
REGIONS = (torch.arange(28) // 4)[:, None] * 7 + torch.arange(28) // 4  # 49 squares
PEERS = ("captum", "zennit")

# the ratios that lib should not exceed, in the order of PLAIN; without one at all: not run
LIMITS: dict[str, tuple] = {
    "epsilon": (1.3, 1.5, 1.15),
    "epsilon_plus": (1.5, 1.6, 1.6),
    "epsilon_gamma_box": (2.0, 2.2, 1.7),
    "epsilon_alpha2_beta1": (2.1, 2.2, 2.2),
    INTEGRATED: (1.05 * STEPS, ""),
    "guided backprop": (1.2, "", ""),
    "occlusion, 49 windows": (0.65 * 50, ""),
    "LIME, 200 samples": (None, 50),
    "kernel SHAP, 200 samples": (None, 50),
    "pixel flipping, 28 steps, in forward passes": (round(1.1 * 28, 1),),
}


@torch.no_grad()
def forward_pass(model: nn.Module, x: Tensor) -> Tensor:
    return model(x)


def training_step(model: nn.Module, x: Tensor) -> None:
    """Gradients of the parameters as well as of x."""
    scores = model(x.requires_grad_())
    scores.gather(1, scores.argmax(1, keepdim=True)).sum().backward()
    model.zero_grad()


def flip(model: nn.Module, x: Tensor) -> Tensor:
    return pixel_flipping(model, x, x, 0, replace=0.0, steps=28).scores


def captum_samples(method: type) -> Method:
    return lambda m, x: method(m).attribute(
        x,
        target=m(x).argmax(1),
        feature_mask=REGIONS[None, None],
        n_samples=200,
        perturbations_per_eval=200,
    )


def ours(rules: object) -> Method:
    return lambda model, x: lrp(model, x, rules=rules)


# ---------------------------------------------------------------- small networks


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


METHODS: dict[str, dict[str, Method]] = {
    "epsilon": {"lib": ours(Epsilon()), "captum": captum_epsilon},
    **{rule: {"lib": ours(rule)} for rule in list(LIMITS)[1:4]},
    INTEGRATED: {
        "lib": lambda m, x: integrated_gradients(m, x, steps=STEPS),
        "captum": captum_integrated(STEPS),
        "zennit": zennit_integrated(STEPS),
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
for rule, method in zennit_rules().items():
    METHODS[rule]["zennit"] = method


@dataclass(frozen=True, eq=False)
class Case:
    """A network, what makes its input, and the number of rounds."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    rounds: int

    def built(self) -> tuple[nn.Module, Tensor]:
        draw = torch.randn if "LSTM" in self.name else torch.rand
        x = draw(self.shape, generator=torch.Generator().manual_seed(0))
        return self.make().eval().requires_grad_(False), x


PLAIN = [
    Case("small CNN, batch 256", lambda: models.cnn(1, 28), (256, 1, 28, 28), 10),
    Case("small CNN, batch 1", lambda: models.cnn(1, 28), (1, 1, 28, 28), 400),
    Case("VGG16 shape, batch 1", models.vgg16, (1, 3, 224, 224), 5),
]
# the other libraries refuse or misread these
OTHERS = [
    case
    for size, rounds in ((32, 24), (1, 120))
    for case in (
        Case(f"residual, batch {size}", lambda: tower(Block, 3), (size, 3, 32, 32), rounds),
        Case(f"branches, batch {size}", lambda: tower(Branches, 4), (size, 3, 32, 32), rounds),
        Case(f"LSTM of 20 steps, batch {size}", Reader, (size, 20, 32), rounds),
    )
]


def small() -> list[str]:
    """The table of methods on small networks."""
    rows = []
    for column, case in enumerate(tqdm(PLAIN, desc="small networks")):
        for rule, limits in LIMITS.items():
            if len(limits) > column and limits[column] is not None:
                rows.append(row_of(case, rule, str(limits[column]), PEERS))
    for case in tqdm(OTHERS, desc="other networks"):
        for rule in ["epsilon"] if "LSTM" in case.name else ["epsilon", "epsilon_plus"]:
            limit = "3" if "LSTM" in case.name else "1.5" if rule == "epsilon" else ""
            rows.append(row_of(case, rule, limit, ()))
    head = ["method", "case", "lib", "target", "Captum", "Zennit"]
    return ["Unit: one forward + one backward pass to the input.", *table(head, rows)]


def row_of(case: Case, rule: str, limit: str, peers: tuple[str, ...]) -> list[str]:
    model, x = case.built()
    methods = [
        METHODS[rule].get(name) if name == "lib" or name in peers else None
        for name in ("lib", *PEERS)
    ]
    # what takes many passes varies less
    many = re.search("steps|samples|windows", rule)
    rounds = case.rounds // 4 if many else case.rounds
    found = [ratio(model, x, rounds, method) if method else "" for method in methods]
    return [rule, case.name, found[0], limit, *found[1:]]


def ratio(model: nn.Module, x: Tensor, rounds: int, method: Method) -> str:
    """The method's time in units; the two alone in turn, since a third would empty the caches."""
    against = forward_pass if method is flip else unit
    calls = [lambda: against(model, x.clone()), lambda: method(model, x.clone())]
    passes, spent = in_turn(calls, rounds, x.numel() > 1e5)
    return f"{spent / passes:.2f}"


# ---------------------------------------------------------------- networks of real size

TOLD = """\
Networks of real size, one image of 224 pixels, in two units: **(a)** as above, one forward and one
backward pass to the input, parameters frozen; **(b)** the same passes as in training, with the
gradients of the parameters too (batch normalisations in evaluation mode), the unit of the targets.
Both units, lib and the others are called in turn; the methods always run with frozen parameters.
ResNet-50 and DeiT-tiny are timm's with random weights, EfficientNet-Lite0 is the published one.
Zennit with its canonizer for batch normalisations and a module in the place of residual sums (it
has none for transformers: on DeiT-tiny only its time can be compared). `attn_lrp` by LXT: the same
network in the functions of lxt.explicit, with LRP-epsilon at the patches. "refuses": the library
raised an error."""

TARGETS = {
    ("epsilon_plus", "ResNet-50"): 1.3,
    ("epsilon_gamma_box", "ResNet-50"): 2.0,
    ("epsilon_plus", "EfficientNet-Lite0"): 1.3,
    ("epsilon_gamma_box", "EfficientNet-Lite0"): 2.0,
    ("epsilon_plus", "DeiT-tiny"): 1.1,
    ("attn_lrp", "DeiT-tiny"): 1.5,
}
ROUNDS = {"ResNet-50": 5, "EfficientNet-Lite0": 10, "DeiT-tiny": 10}


def real() -> list[str]:
    """The table of the rules of LRP on networks of real size."""
    rows = [
        row for name in tqdm(ROUNDS, desc="real networks") for row in rows_of(name, ROUNDS[name])
    ]
    head = ["method", "network", "lib (a)", "lib (b)", "target (b)"]
    head += ["Captum (a)", "Zennit (a)", "Zennit (b)", "LXT (a)", "LXT (b)"]
    return [TOLD, *table(head, rows), held(rows)]


def held(rows: list[list[str]]) -> str:
    """The sentence that says which targets are met."""
    known = [row for row in rows if row[4]]
    missed = [f"{row[0]} on {row[1]}" for row in known if float(row[3]) > float(row[4])]
    said = f"Of {len(known)} targets {len(known) - len(missed)} are met"
    return f"{said}; missed: {', '.join(missed)}." if missed else f"{said}."


def box_of(network: Network) -> Composite:
    """epsilon_gamma_box with the bounds of this network's pixels."""
    box = ZBox(network.low, network.high)
    return Composite(dense=Epsilon(), convolution=Gamma(0.25), first=box)


def rows_of(name: str, rounds: int) -> Iterator[list[str]]:
    network = NETWORKS[name]()
    # Zennit's bounds are those of the first convolution's input, in its shape
    ends = (network.before(end.expand_as(network.x)) for end in (network.low, network.high))
    by_zennit = zennit_rules(*ends)
    rules = {rule: rule for rule in list(LIMITS)[1:4]}
    rules |= {"epsilon": Epsilon(), "epsilon_gamma_box": box_of(network)}
    methods = {rule: (ours(rules[rule]), None, by_zennit[rule], None) for rule in by_zennit}
    methods["epsilon"] = (ours(Epsilon()), captum_epsilon, by_zennit["epsilon"], None)
    if "DeiT" in name:
        methods["attn_lrp"] = (ours("attn_lrp"), None, None, lxt_attn)
    if "Lite" in name:
        integrated = METHODS[INTEGRATED]
        methods[INTEGRATED] = (*(integrated[by] for by in ("lib", "captum", "zennit")), None)
    for rule, called in methods.items():
        found = against_units(network, rounds // 2 if rule == INTEGRATED else rounds, called)
        (a, b), (captum, _), of_zennit, of_lxt = found
        limit = str(TARGETS.get((rule, name), ""))
        yield [rule, name, a, b, limit, captum, *of_zennit, *of_lxt]


def against_units(
    network: Network, rounds: int, methods: tuple[Method | None, ...]
) -> list[tuple[str, str]]:
    """Each method's time in both units; empty where there is no method."""
    model, x = network.model, network.x
    learner = copy.deepcopy(model).requires_grad_(True)
    able = [runs(copy.deepcopy(model), x, method) for method in methods]
    calls = [lambda: unit(model, x.clone()), lambda: training_step(learner, x.clone())]
    calls += [explaining(network, method) for method, here in zip(methods, able) if here]
    frozen, trained, *times = in_turn(calls, rounds, True)
    left = iter(times)
    found = []
    for method, here in zip(methods, able):
        if here:
            spent = next(left)
            found.append((f"{spent / frozen:.2f}", f"{spent / trained:.2f}"))
        else:
            found.append(("refuses", "refuses") if method else ("", ""))
    return found


def explaining(network: Network, method: Method) -> Callable[[], Tensor]:
    model = copy.deepcopy(network.model)  # its own: Captum leaves rules in the modules
    return lambda: method(model, network.x.clone())


def runs(model: nn.Module, x: Tensor, method: Method | None) -> bool:
    """Whether there is a method, and the library has it for this model."""
    if method is None:
        return False
    try:
        method(model, x.clone())
    except Exception:  # each library has its own
        return False
    return True
