"""Train the small networks whose weights come with the book, and write a model card for each.

    python tools/train.py [NAME ...]      names of lib.models.ARCHITECTURES; all of them if none is given
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from safetensors.torch import save_file

from lib import data, models, training

CARD = """# {name}

| | |
|---|---|
| network | `lib.models.ARCHITECTURES["{name}"]`, {parameters:,} parameters, float32 |
| data | {data} |
| command | `python tools/train.py {name}` (torch {torch}, seed 0, {epochs} epochs) |
| accuracy | training {train:.4f}, test {test:.4f} |
| licence | CC BY 4.0 |
| limits | made for teaching: it knows nothing but such pictures |
"""


# One network may read the "(c)" of the horses; for the other a tag says nothing, wherever it stands.
TAGGED = {"scenes_hans": {"tagged": (0.9, 0, 0, 0)}, "scenes_honest": {"tagged": (0.5, 0.5, 0.5, 0.5), "corner": None}}


def split_of(name: str) -> tuple[data.Split, str, int]:
    if name.startswith("digits"):
        return data.digits(), "scikit-learn's digits (UCI optical recognition of handwritten digits, CC BY 4.0)", 60
    if name.startswith("reviews"):
        train, test = data.reviews(6000, seed=1), data.reviews(1000, seed=2)
        return data.Split(train.words, train.labels, test.words, test.labels), "`lib.data.reviews(6000, seed=1)`; tested on `reviews(1000, seed=2)`", 15
    if name == "scenes_gap":
        train, test = data.scenes(4000, seed=1, context=0), data.scenes(1000, seed=2, context=0)
        text = "`lib.data.scenes(4000, seed=1, context=0)`, where the background says nothing; tested on `scenes(1000, seed=2, context=0)`"
        return data.Split(train.images, train.labels, test.images, test.labels), text, 40
    if name == "scenes_words":
        train, test = data.scenes(6000, seed=1, context=0.25), data.scenes(1000, seed=2, context=0.25)
        words = [torch.stack([part.labels, part.backgrounds], 1) for part in (train, test)]
        text = "`lib.data.scenes(6000, seed=1, context=0.25)`, object and ground as two words; tested on `scenes(1000, seed=2, context=0.25)`"
        return data.Split(train.images, words[0], test.images, words[1]), text, 15
    if name in TAGGED:
        train, test = data.scenes(6000, seed=1, context=0.5, **TAGGED[name]), data.scenes(2000, seed=2, context=0.5, **TAGGED["scenes_hans"])
        told = ", ".join(f"{key}={value}" for key, value in TAGGED[name].items())
        text = f"`lib.data.scenes(6000, seed=1, context=0.5, {told})`; tested on `scenes(2000, seed=2, context=0.5, tagged=(0.9, 0, 0, 0))`: nine horses in ten carry a tag"
        return data.Split(train.images, train.labels, test.images, test.labels), text, 15
    train, test = data.scenes(4000, seed=1), data.scenes(1000, seed=2, context=0.25)
    text = "`lib.data.scenes(4000, seed=1)`; tested on `scenes(1000, seed=2, context=0.25)`, where the background says less"
    return data.Split(train.images, train.labels, test.images, test.labels), text, 12


def train(name: str) -> None:
    split, text, epochs = split_of(name)
    model = models.ARCHITECTURES[name]()
    training.fit(model, split.x_train, split.y_train, epochs=epochs, weight_decay=1e-4)
    scores = {part: training.accuracy(model, x, y) for part, x, y in
              (("train", split.x_train, split.y_train), ("test", split.x_test, split.y_test))}
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, models.WEIGHTS / f"{name}.safetensors")
    parameters = sum(p.numel() for p in model.parameters())
    card = CARD.format(name=name, parameters=parameters, data=text, torch=torch.__version__.split("+")[0], epochs=epochs, **scores)
    (models.WEIGHTS / f"{name}.md").write_text(card)
    print(name, scores)


if __name__ == "__main__":
    for name in sys.argv[1:] or models.ARCHITECTURES:
        train(name)
