"""How well the methods rank the words of sentences, by deleting them: a published transformer."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from paired import RULE, columns, said
from timing import table
from torch import Tensor
from tqdm import tqdm

from lib import models
from lib.interpretability import attention_gradient, attention_rollout
from lib.lrp import lrp
from lib.models import SentenceEncoder, SentenceScores
from lib.sensitivity import gradient_x_input

PAIRS = [
    line.split(" | ")
    for line in (Path(__file__).parent / "pairs.txt").read_text(encoding="utf-8").splitlines()
]
DRAWS = 3
TOLD = f"""\
all-MiniLM-L6-v2, a published encoder of sentences: {len(PAIRS)} pairs of sentences, written for
this table (benchmarks/pairs.txt). The score is the cosine of the first with the second; pieces of
words of the first are deleted (number 0, which the network hides from its attention and its mean;
the two marks [CLS] and [SEP] stay), once the most and once the least relevant first. The area
between the two curves is their mean difference over the steps, in units of the cosine: mean over
the sentences ± its standard error; higher is better, and a random order ({DRAWS} draws averaged) is
about 0. The share is sum R / score, the marks included, where relevance is meant to sum to the
score. `epsilon_plus` holds the attention weights fixed (CP-LRP), `attn_lrp` does not."""
SHARES = ("epsilon_plus", "attn_lrp", "gradient x input")


def methods(model: SentenceScores, words: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Relevance of each piece, (1, T)."""
    vectors = model.encoder.embed(words).detach()
    return {
        "attn_lrp": lambda: lrp(model, words, 0, "attn_lrp"),
        "epsilon_plus": lambda: lrp(model, words, 0, "epsilon_plus"),
        "gradient x input": lambda: gradient_x_input(model, vectors, 0).sum(2),
        "attention_rollout": lambda: attention_rollout(model, words, 0),
        "attention_gradient": lambda: attention_gradient(model, words, 0),
    }


@torch.no_grad()
def curve(model: SentenceScores, words: Tensor, order: Tensor) -> Tensor:
    """The score with 0, 1, ... of the pieces deleted in this order."""
    gone = words.repeat(len(order) + 1, 1)
    for step, place in enumerate(order.tolist()):
        gone[step + 1 :, place] = 0
    return model(gone)[:, 0]


def area(model: SentenceScores, words: Tensor, relevance: Tensor) -> Tensor:
    """Between least and most relevant first; the marks at both ends stay."""
    order = 1 + relevance[0, 1:-1].argsort(stable=True)
    curves = [curve(model, words, way) for way in (order, order.flip(0))]
    return (curves[0] - curves[1]).sum() / len(order)


def measured(encoder: SentenceEncoder) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of each method the area and sum R / score of every sentence."""
    areas: dict[str, list[Tensor]] = {}
    shares: dict[str, list[Tensor]] = {}
    generator = torch.Generator().manual_seed(0)
    for first, second in tqdm(PAIRS, desc="sentences"):
        model, words = encoder.against(second), encoder.tokens(first)
        with torch.no_grad():
            score = model(words)[0, 0]
        for name, explain in methods(model, words).items():
            relevance = explain()
            areas.setdefault(name, []).append(area(model, words, relevance))
            shares.setdefault(name, []).append(relevance.sum() / score)
        drawn = [
            area(model, words, torch.rand(words.shape, generator=generator)) for _ in range(DRAWS)
        ]
        areas.setdefault("random", []).append(torch.stack(drawn).mean())
    return tuple({k: torch.stack(v) for k, v in found.items()} for found in (areas, shares))


def compared(areas: dict[str, Tensor], one: str, other: str) -> str:
    difference = areas[one] - areas[other]
    return f"{one} - {other}: {said(difference, 3)}"


def section() -> list[str]:
    encoder = models.pretrained("minilm").requires_grad_(False)
    torch.set_num_threads(2)  # nothing is timed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        areas, shares = measured(encoder)
    torch.set_num_threads(1)
    rows = [
        [name, score, led, said(shares[name], 3) if name in SHARES else ""]
        for name, score, led in columns(areas, 3)
    ]
    pairs = [("attn_lrp", other) for other in areas if other != "attn_lrp"]
    differences = "; ".join(compared(areas, *pair) for pair in pairs)
    head = ["method", "area", "ahead of", "share"]
    return [TOLD, "", RULE, *table(head, rows), f"Paired differences: {differences}."]
