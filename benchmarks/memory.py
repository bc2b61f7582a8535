"""The most memory that the tensors of one explanation take at a time, as a ratio to that of one
forward and one backward pass.
"""

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from measure import unit
from networks import NETWORKS, Network
from speed import LIMITS, box_of
from timing import table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

from lib.lrp import Epsilon, lrp

MOST = 3
TOLD = f"""\
The most bytes of tensors that are alive at a time during one explanation, as a ratio to the most
during one forward and one backward pass to the input, parameters frozen. Weights and the input
itself are not counted; target: at most {MOST}. Every storage that an operation makes is counted
from its making to its end: the resident memory of a process would add what allocators and kernels
keep, and hides what lies below an earlier peak."""


class Tally(TorchDispatchMode):
    """Within the block, how many bytes of new tensors are alive, and the most so far."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        before = [*network.model.parameters(), *network.model.buffers(), network.x]
        self.before = {tensor.untyped_storage()._cdata for tensor in before}
        self.alive: dict[int, tuple[weakref.ref, int]] = {}
        self.now = self.most = 0

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.count(leaf.untyped_storage())
        return result

    def count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.before or key in self.alive:
            return
        size = storage.nbytes()
        self.alive[key] = weakref.ref(storage, lambda _: self.end(key)), size
        self.now += size
        self.most = max(self.most, self.now)

    def end(self, key: int) -> None:
        self.now -= self.alive.pop(key)[1]


def peak(network: Network, call: Callable[[], object]) -> int:
    gc.collect()
    with warnings.catch_warnings(), Tally(network) as tally:
        warnings.simplefilter("ignore")
        call()
    return tally.most


def rows() -> Iterator[list[str]]:
    for name, make in tqdm(NETWORKS.items(), desc="memory"):
        network = make()
        model, x = network.model, network.x
        rules = {rule: rule for rule in list(LIMITS)[1:4]}
        rules |= {"epsilon": Epsilon(), "epsilon_gamma_box": box_of(network)}
        rules |= {"attn_lrp": "attn_lrp"} if "DeiT" in name else {}
        passes = peak(network, lambda: unit(model, x))
        for rule, given in rules.items():
            most = peak(network, lambda: lrp(model, x, rules=given))
            yield [rule, name, f"{most / passes:.2f}", f"{passes / 2**20:.0f} MiB"]


def section() -> list[str]:
    found = list(rows())
    above = [f"{row[0]} on {row[1]}" for row in found if float(row[2]) > MOST]
    said = f"Above {MOST}: {', '.join(above)}." if above else f"None is above {MOST}."
    return [TOLD, *table(["method", "network", "lib", "the passes"], found), said]
