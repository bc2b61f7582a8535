"""Train the small networks whose weights come with the book, and write a model card for each.

python tools/train.py [NAME ...]      names of lib.models.ARCHITECTURES; all of them if none is
given
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from safetensors.torch import save_file

from lib import applications, data, models, training

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


# One network may read the "(c)" of the horses; for the other a tag says nothing, wherever it
# stands.
TAGGED = {
    "scenes_hans": {"tagged": (0.9, 0, 0, 0)},
    "scenes_honest": {"tagged": (0.5, 0.5, 0.5, 0.5), "corner": None},
}


# Networks of the chapter on applications: training data, test data, what they are, epochs.
APPLICATIONS = {
    "scenes_shallow": (
        "data.scenes(4000, seed=1, context=0)",
        "data.scenes(1000, seed=2, context=0)",
        12,
    ),
    "scenes_deep": (
        "data.scenes(4000, seed=1, context=0)",
        "data.scenes(1000, seed=2, context=0)",
        14,
    ),
    "scenes_early": (
        "data.scenes(4000, seed=1, context=0)",
        "data.scenes(1000, seed=2, context=0)",
        4,
    ),
    "scenes_context": (
        "applications.mixed_scenes(4000, seed=1)",
        "applications.mixed_scenes(1000, seed=2)",
        40,
    ),
    "faces_noisy": ("applications.faces(4000, seed=1)", "applications.faces(1000, seed=2)", 6),
    "tones": ("applications.tones(3000, seed=1)", "applications.tones(1000, seed=2)", 12),
    "gait": ("applications.gait(3000, seed=1)", "applications.gait(1000, seed=2)", 10),
    "molecules": (
        "applications.molecules(4000, seed=1)",
        "applications.molecules(1000, seed=2)",
        20,
    ),
    "questions": (
        "applications.questions(12000, seed=1)",
        "applications.questions(1000, seed=2)",
        14,
    ),
}
RATES = {"questions": 1e-3, "scenes_shallow": 1e-3, "scenes_deep": 1e-3, "scenes_early": 1e-3}
# steps after which the agent of the game is kept
STAGES = (
    0,
    100,
    300,
    600,
    1000,
    1500,
    2000,
    3000,
    4500,
    7000,
    10000,
)


def split_of(name: str) -> tuple[data.Split, str, int]:
    if name in APPLICATIONS:
        train, test, epochs = APPLICATIONS[name]
        a, b = (eval(made) for made in (train, test))
        x, xt = (part.x if hasattr(part, "x") else part.images for part in (a, b))
        labels, wrong = a.labels, ""
        if name == "faces_noisy":
            turned = torch.rand(len(labels), generator=torch.Generator().manual_seed(0)) < 0.3
            labels, wrong = (
                torch.where(turned, 1 - labels, labels),
                ", three labels in ten turned round",
            )
        return (
            data.Split(x, labels, xt, b.labels),
            f"`lib.{train}`{wrong}; tested on `lib.{test}`",
            epochs,
        )
    if name.startswith("digits"):
        return (
            data.digits(),
            "scikit-learn's digits (UCI optical recognition of handwritten digits, CC BY 4.0)",
            60,
        )
    if name.startswith("reviews"):
        train, test = data.reviews(6000, seed=1), data.reviews(1000, seed=2)
        return (
            data.Split(train.words, train.labels, test.words, test.labels),
            "`lib.data.reviews(6000, seed=1)`; tested on `reviews(1000, seed=2)`",
            15,
        )
    if name == "scenes_gap":
        train, test = data.scenes(4000, seed=1, context=0), data.scenes(1000, seed=2, context=0)
        text = (
            "`lib.data.scenes(4000, seed=1, context=0)`, where the background says "
            "nothing; tested on `scenes(1000, seed=2, context=0)`"
        )
        return data.Split(train.images, train.labels, test.images, test.labels), text, 40
    if name == "scenes_words":
        train, test = (
            data.scenes(6000, seed=1, context=0.25),
            data.scenes(1000, seed=2, context=0.25),
        )
        words = [torch.stack([part.labels, part.backgrounds], 1) for part in (train, test)]
        text = (
            "`lib.data.scenes(6000, seed=1, context=0.25)`, object and ground as two "
            "words; tested on `scenes(1000, seed=2, context=0.25)`"
        )
        return data.Split(train.images, words[0], test.images, words[1]), text, 15
    if name in TAGGED:
        train, test = (
            data.scenes(6000, seed=1, context=0.5, **TAGGED[name]),
            data.scenes(2000, seed=2, context=0.5, **TAGGED["scenes_hans"]),
        )
        told = ", ".join(f"{key}={value}" for key, value in TAGGED[name].items())
        text = (
            f"`lib.data.scenes(6000, seed=1, context=0.5, {told})`; tested on "
            f"`scenes(2000, seed=2, context=0.5, tagged=(0.9, 0, 0, 0))`: nine horses in ten "
            f"carry a tag"
        )
        return data.Split(train.images, train.labels, test.images, test.labels), text, 15
    train, test = data.scenes(4000, seed=1), data.scenes(1000, seed=2, context=0.25)
    text = (
        "`lib.data.scenes(4000, seed=1)`; tested on `scenes(1000, seed=2, context=0.25)`, "
        "where the background says less"
    )
    return data.Split(train.images, train.labels, test.images, test.labels), text, 12


def train(name: str) -> None:
    split, text, epochs = split_of(name)
    model = models.ARCHITECTURES[name]()
    training.fit(
        model,
        split.x_train,
        split.y_train,
        epochs=epochs,
        learning_rate=RATES.get(name, 3e-3),
        weight_decay=1e-4,
    )
    scores = {
        part: training.accuracy(model, x, y)
        for part, x, y in (
            ("train", split.x_train, split.y_train),
            ("test", split.x_test, split.y_test),
        )
    }
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()},
        models.WEIGHTS / f"{name}.safetensors",
    )
    parameters = sum(p.numel() for p in model.parameters())
    card = CARD.format(
        name=name,
        parameters=parameters,
        data=text,
        torch=torch.__version__.split("+")[0],
        epochs=epochs,
        **scores,
    )
    (models.WEIGHTS / f"{name}.md").write_text(card)
    print(name, scores)


def train_game() -> None:
    """The agent of lib.applications.game at several times of its training, one after the other
    along the first dimension of each weight.
    """
    agent, kept, scores = models.game_network(), [], []
    for step in applications.learn(agent, STAGES[-1] + 1):
        if step in STAGES:
            kept.append({name: value.clone() for name, value in agent.state_dict().items()})
            scores.append(applications.caught(agent))
    weights = {name: torch.stack([stage[name] for stage in kept]) for name in kept[0]}
    save_file({"steps": torch.tensor(STAGES), **weights}, models.WEIGHTS / "game.safetensors")
    parameters = sum(p.numel() for p in agent.parameters())
    card = CARD.format(
        name="game",
        parameters=parameters,
        data="`lib.applications.game`, played by the agent itself",
        torch=torch.__version__.split("+")[0],
        epochs=0,
        train=0,
        test=0,
    ).splitlines()
    card[4] = (
        f"| network | `lib.models.game_network()`, {parameters:,} parameters, float32, after "
        f"{', '.join(map(str, STAGES))} steps |"
    )
    card[6] = (
        f"| command | `python tools/train.py game` (torch {torch.__version__.split('+')[0]}, "
        f"seed 0, {STAGES[-1]} steps) |"
    )
    card[7] = f"| accuracy | balls caught: {', '.join(f'{score:.3f}' for score in scores)} |"
    card[9] = "| limits | made for teaching: it plays nothing but this game |"
    (models.WEIGHTS / "game.md").write_text("\n".join(card) + "\n")
    print("game", scores)


if __name__ == "__main__":
    for name in sys.argv[1:] or [*models.ARCHITECTURES, "game"]:
        train_game() if name == "game" else train(name)
