"""Trains the networks whose weights come with the book, and writes a model card for each.

    python tools/train.py [NAME ...]       all of them if none is named: hours, for those of MNIST
    python tools/train.py --cards NAME     measures the weights again and writes the card alone
    python tools/train.py --into FOLDER    writes there, and leaves lib/weights as it is

The sets of real 28 x 28 digits are read from the folder BOOK_DATA, or downloaded.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from safetensors.torch import load_file, save_file
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from lib import applications, data, gans, live, models, training, vae

CARD = """# {name}

| | |
|---|---|
| network | {called}, {parameters:,} parameters, float32 |
| data | {source} |
| command | `python tools/train.py {name}` (torch {torch}, seed 0, {schedule}) |
| scores | {scores} |
| licence | {licence} |
| limits | made for teaching: {limits} |
"""
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Source:
    """Where a network's data come from, and what its card says of them."""

    split: Callable[[], data.Split]
    text: str
    licence: str = "CC BY 4.0"
    limits: str = "it knows nothing but such pictures"


@dataclass(frozen=True)
class Network:
    """All that makes the weights of one network and its card."""

    build: Callable[[], nn.Module]
    called: str
    source: Source
    train: Callable[[nn.Module, data.Split], Weights]
    schedule: str
    score: Callable[[nn.Module, Weights, data.Split], str]


# ---------------------------------------------------------------- data

DIGITS = Source(
    data.digits, "scikit-learn's digits (UCI optical recognition of handwritten digits, CC BY 4.0)"
)
MNIST = Source(
    data.mnist,
    "MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0), the 60,000 training images",
    "CC BY-SA 3.0, as the data",
    "it knows nothing but handwritten digits",
)
NO_SET = torch.zeros(0)
GAME = Source(
    lambda: data.Split(NO_SET, NO_SET, NO_SET, NO_SET),
    "`lib.applications.game`, played by the agent itself",
    limits="it plays nothing but this game",
)
Labels = Callable[[Any], Tensor]


def labels(world: Any) -> Tensor:
    return world.labels


def wrong_labels(world: Any) -> Tensor:
    """Three labels in ten turned round."""
    turned = torch.rand(len(world.labels), generator=torch.Generator().manual_seed(0)) < 0.3
    return torch.where(turned, 1 - world.labels, world.labels)


def two_words(world: Any) -> Tensor:
    """Object and ground."""
    return torch.stack([world.labels, world.backgrounds], 1)


def generated(
    train: partial, test: partial, note: str = "", learned: Labels = labels, asked: Labels = labels
) -> Source:
    """A world of lib, drawn once to train in and once to test in."""

    def split() -> data.Split:
        drawn, drawn_again = train(), test()
        return data.Split(inputs(drawn), learned(drawn), inputs(drawn_again), asked(drawn_again))

    return Source(split, f"{said(train)}; tested on {said(test)}{note}")


def inputs(world: Any) -> Tensor:
    return next(getattr(world, k) for k in ("x", "images", "words") if hasattr(world, k))


def said(call: partial) -> str:
    """The call as its reader would write it: `lib.data.scenes(4000, seed=1)`."""
    face = ".".join(call.func.__module__.split(".")[:2])
    given = [*map(repr, call.args), *(f"{name}={value!r}" for name, value in call.keywords.items())]
    return f"`{face}.{call.func.__name__}({', '.join(given)})`"


def world(make: Callable, n: int, **options: Any) -> Source:
    """The same world for training and testing, by two seeds."""
    return generated(partial(make, n, seed=1, **options), partial(make, 1000, seed=2, **options))


BALANCED = world(data.scenes, 4000, context=0)
REVIEWS = world(data.reviews, 6000)
# One network may read the "(c)" of the horses; for the other a tag says nothing, wherever it
# stands.
TAGGED = partial(data.scenes, 2000, seed=2, context=0.5, tagged=(0.9, 0, 0, 0))
HORSES = "; in the test nine horses in ten carry a tag"


# ---------------------------------------------------------------- classifiers


def fit(model: nn.Module, split: data.Split, epochs: int, rate: float) -> Weights:
    training.fit(
        model,
        split.x_train,
        split.y_train,
        epochs=epochs,
        learning_rate=rate,
        weight_decay=1e-4,
    )
    return model.state_dict()


def accuracies(model: nn.Module, weights: Weights, split: data.Split) -> str:
    model.load_state_dict(weights)
    model.eval()
    train = (run(model, split.x_train).argmax(1) == split.y_train).float().mean()
    test = (run(model, split.x_test).argmax(1) == split.y_test).float().mean()
    return f"accuracy: training {train:.4f}, test {test:.4f}"


@torch.no_grad()
def run(model: nn.Module, *inputs: Tensor) -> Tensor:
    """The outputs for many inputs, a thousand at a time."""
    return torch.cat([model(*part) for part in zip(*(x.split(1000) for x in inputs))])


def classifier(
    source: Source,
    epochs: int,
    rate: float = 3e-3,
    build: Callable[[], nn.Module] | None = None,
    called: str = "",
) -> Callable[[str], Network]:
    """A network of lib.models.ARCHITECTURES, unless another is given."""
    return lambda name: Network(
        build or models.ARCHITECTURES[name],
        called or f'`lib.models.ARCHITECTURES["{name}"]`',
        source,
        partial(fit, epochs=epochs, rate=rate),
        f"{epochs} epochs",
        accuracies,
    )


# ---------------------------------------------------------------- the game

# steps after which the agent is kept
STAGES = (0, 100, 300, 600, 1000, 1500, 2000, 3000, 4500, 7000, 10000)


def learn_game(agent: nn.Module, split: data.Split) -> Weights:
    """The agent at several times of its training, one after the other along the first dimension."""
    kept = [
        {name: value.clone() for name, value in agent.state_dict().items()}
        for step in applications.learn(agent, STAGES[-1] + 1)
        if step in STAGES
    ]
    stacked = {name: torch.stack([stage[name] for stage in kept]) for name in kept[0]}
    return {"steps": torch.tensor(STAGES), **stacked}


def balls_caught(agent: nn.Module, weights: Weights, split: data.Split) -> str:
    shares = []
    for k in range(len(weights["steps"])):
        agent.load_state_dict({name: v[k] for name, v in weights.items() if name != "steps"})
        shares.append(f"{applications.caught(agent):.3f}")
    return f"balls caught: {', '.join(shares)}"


# ---------------------------------------------------------------- the generators of digits

GAN_STEPS = 16_000


def fit_vae(model: nn.Module, split: data.Split) -> Weights:
    grey = split.x_train.flatten(1).mean(0).clamp(1e-3, 1 - 1e-3)
    model.decoder.bias.data = torch.log(grey / (1 - grey))
    vae.fit(model, split.x_train, 80_000, learning_rate=2e-3, weight_decay=0.01, average=0.999)
    return model.state_dict()


@torch.no_grad()
def bounds(model: nn.Module, weights: Weights, split: data.Split) -> str:
    """On the 10,000 test images, each turned black and white once by seed 0."""
    model.load_state_dict(weights)
    model.eval()
    with models.seeded(0):
        x = torch.bernoulli(split.x_test)
        some = x[torch.randperm(len(x))[:1000]]
        bound = [vae.elbo(model, part) for part in x.split(1000)]
        log_p = torch.cat(
            [vae.importance_weighted_bound(model, part, 1000) for part in some.split(50)]
        )
    mean = {
        part: torch.cat([getattr(b, part) for b in bound]).mean().item()
        for part in ("total", "reconstruction", "kl")
    }
    return (
        f"ELBO {mean['total']:.2f} = reconstruction {mean['reconstruction']:.2f} - KL "
        f"{mean['kl']:.2f} on the 10,000 test images; negative log-likelihood "
        f"{-log_p.mean():.2f} (standard error {log_p.std() / 1000**0.5:.2f}; importance weights, "
        "1,000 samples, 1,000 random test images); in nats, pixels drawn black or white with the "
        "probability of their grey, seed 0"
    )


PLANE_STEPS = 15_000
# beta, and whether codes are drawn
PLANE_LOSSES = dict(zip(vae.PLANES, ((0, False), (1, True), (4, True), (1, True)), strict=True))


def fit_planes(planes: nn.Module, split: data.Split) -> Weights:
    """All four networks with one budget; beside their weights the codes of 1,000 test images."""
    for name, (beta, noise) in PLANE_LOSSES.items():
        network = planes.networks[name]
        y = split.y_train if network.classes else None
        settings = {"learning_rate": 1e-3, "average": 0.999, "beta": beta, "noise": noise}
        vae.fit(network, split.x_train, PLANE_STEPS, y=y, **settings)
    planes.classes = split.y_test[:1000]
    with torch.no_grad():
        means = [network.encode(split.x_test[:1000])[0] for network in planes.networks.values()]
    planes.codes = torch.stack(means)
    return planes.state_dict()


@torch.no_grad()
def plane_scores(planes: nn.Module, weights: Weights, split: data.Split) -> str:
    """On the 10,000 test images, each turned black and white once by seed 0: as they are trained,
    and as the page holds them, with weights of 8 bits.
    """
    planes.load_state_dict(weights)
    planes.eval()
    with models.seeded(0):
        x = torch.bernoulli(split.x_test)
    scores = []
    for name, network in planes.networks.items():
        if not PLANE_LOSSES[name][1]:
            fit = network.log_likelihood(x, network.decode(network.encode(x)[0]))
            scores.append(f"{name}: reconstruction {fit.mean():.2f}, no bound")
            continue
        y = split.y_test if network.classes else None
        bound = vae.elbo(network, x, y=y)
        page = vae.elbo(live.eight_bits(network), x, y=y)
        scores.append(
            f"{name}: ELBO {bound.total.mean():.2f} = reconstruction "
            f"{bound.reconstruction.mean():.2f} - KL {bound.kl.mean():.2f}, with weights of 8 bits "
            f"{page.total.mean():.2f}"
        )
    return (
        "; ".join(scores) + "; of log p(x), or log p(x|y) for the conditional one, on the 10,000 "
        "test images, in nats, pixels drawn black or white with the probability of their grey, "
        "seed 0"
    )


def play(generator: nn.Module, split: data.Split) -> Weights:
    gans.train(
        generator,
        gans.Discriminator(),
        split.x_train,
        split.y_train,
        GAN_STEPS,
        noise=0.6,
        mismatch=True,
    )
    return generator.state_dict()


def judgement(generator: nn.Module, weights: Weights, split: data.Split) -> str:
    """10,000 samples with the labels of the test set, beside the test set and as many training
    images.
    """
    generator.load_state_dict(weights)
    generator.eval()
    judge = models.mnist_cnn()
    with models.seeded(0):
        samples = run(generator, torch.randn(len(split.y_test), generator.latent), split.y_test)
    real = run(judge[:-1], split.x_test)
    train = run(judge[:-1], split.x_train[:10_000])
    made = run(judge[:-1], samples)
    right = (run(judge, samples).argmax(1) == split.y_test).float().mean()
    of_test, of_made = (nearest(x, split.x_train) for x in (split.x_test, samples))
    return (
        "10,000 samples (seed 0) with the labels of the test set, in the 64 features of "
        f"`mnist_cnn`: Fréchet distance to the test images {gans.frechet_distance(real, made):.2f} "
        f"({gans.frechet_distance(real, train):.2f} for 10,000 training images); "
        f"coverage {coverage(real, made):.3f} ({coverage(real, train):.3f}); "
        f"label accuracy {right:.4f}; "
        f"nearest training image, Euclidean distance of pixels: mean {of_made.mean():.2f}, "
        f"smallest {of_made.min():.2f} (test images: {of_test.mean():.2f}, {of_test.min():.2f})"
    )


def nearest(of: Tensor, among: Tensor, neighbour: int = 1) -> Tensor:
    """The distance of each row to its `neighbour`-th nearest row of the others."""
    search = NearestNeighbors(n_neighbors=neighbour).fit(among.flatten(1).numpy())
    return torch.from_numpy(search.kneighbors(of.flatten(1).numpy())[0][:, -1])


def coverage(real: Tensor, made: Tensor, neighbours: int = 5) -> float:
    """The share of real points with a generated one in their ball, as wide as to the 5th nearest
    real one (Naeem et al., 2020, eq. 5).
    """
    return (nearest(real, made) <= nearest(real, real, neighbours + 1)).float().mean().item()


FACE_STEPS, STAR_STEPS = 400, 2000
PORTRAITS = Source(
    lambda: data.Split(
        applications.faces(2000, 1, wrinkles=False, grey_hair=False).images,
        NO_SET,
        applications.faces(2000, 2, wrinkles=True, grey_hair=True).images,
        NO_SET,
    ),
    "`lib.applications.faces(2000, seed=1, wrinkles=False, grey_hair=False)` as the young, "
    "`lib.applications.faces(2000, seed=2, wrinkles=True, grey_hair=True)` as the old; for the "
    'translator "star" `lib.gans.star_faces(2000, seed=1)`; never in pairs',
    limits="it knows nothing but these drawn faces",
)


def grow_old(translators: nn.Module, split: data.Split) -> Weights:
    for name, losses in gans.FACE_LOSSES.items():
        game = gans.face_game()
        gans.train_cycle(
            game, split.x_train, split.x_test, FACE_STEPS, batch=16, learning_rate=2e-3, **losses
        )
        translators[name].load_state_dict(game.to_b.state_dict())
    _, critic = gans.star_game()
    faces, domain = gans.star_faces(2000, seed=1)
    gans.train_star(
        translators["star"],
        critic,
        faces,
        domain,
        STAR_STEPS,
        lam=3,
        batch=32,
        learning_rate=2e-3,
        judges=True,
    )
    return translators.state_dict()


@torch.no_grad()
def partners_found(translators: nn.Module, weights: Weights, split: data.Split) -> str:
    """On 500 faces that no translator has seen."""
    translators.load_state_dict(weights)
    drawn, young = gans.same_faces(500, seed=9), torch.tensor([0, 1, 4, 5]).repeat(125)
    x, signs = drawn[young, range(500)], gans.COMBINATIONS[young + 10]
    shares = []
    for name, translator in translators.items():
        domain = torch.eye(4)[2 + signs[:, 3].long()]
        made = translator(x, domain) if name == "star" else translator(x)
        right = (gans.signs_of(made, drawn) == signs).all(1).float().mean()
        shares.append(f"{name} {right:.3f}")
    return (
        "share of 500 new faces (seed 9) that grow old with the four signs of their true partner: "
        + ", ".join(shares)
    )


LARGER_STEPS = 800


def enlarge(enlargers: nn.Module, split: data.Split) -> Weights:
    """Both networks, and beside their weights the first test image of each digit."""
    for name, weight in gans.LARGER_LOSSES.items():
        critic = gans.picture_critic(1, 1, 28, seed=100)
        gans.train_enlarger(enlargers[name], critic, split.x_train, LARGER_STEPS, weight)
    first = [int((split.y_test == digit).nonzero()[0]) for digit in range(10)]
    enlargers.digits = split.x_test[first]
    return enlargers.state_dict()


@torch.no_grad()
def enlarged(enlargers: nn.Module, weights: Weights, split: data.Split) -> str:
    enlargers.load_state_dict(weights)
    judge, shares = models.mnist_cnn(), []
    for name in gans.LARGER_LOSSES:
        made = run(enlargers[name], gans.smaller(split.x_test)).clamp(0, 1)
        error = ((made - split.x_test) ** 2).flatten(1).sum(1).mean()
        read = (run(judge, made).argmax(1) == split.y_test).float().mean()
        sharp = gans.sharpness(made).mean()
        shares.append(f"{name}: error {error:.2f}, sharpness {sharp:.3f}, read {read:.4f}")
    return (
        "; ".join(shares) + " (sum of squares an image; share that `mnist_cnn` reads rightly; the "
        "10,000 test images)"
    )


# ---------------------------------------------------------------- the table

CLASSIFIERS = {
    "digits_mlp": classifier(DIGITS, 60),
    "digits_cnn": classifier(DIGITS, 60),
    "digits_cnn_nobias": classifier(DIGITS, 60),
    "scenes_cnn": classifier(
        generated(
            partial(data.scenes, 4000, seed=1),
            partial(data.scenes, 1000, seed=2, context=0.25),
            ", where the background says less",
        ),
        12,
    ),
    "scenes_hans": classifier(
        generated(
            partial(data.scenes, 6000, seed=1, context=0.5, tagged=(0.9, 0, 0, 0)), TAGGED, HORSES
        ),
        15,
    ),
    "scenes_honest": classifier(
        generated(
            partial(
                data.scenes, 6000, seed=1, context=0.5, tagged=(0.5, 0.5, 0.5, 0.5), corner=None
            ),
            TAGGED,
            HORSES,
        ),
        15,
    ),
    "scenes_words": classifier(
        generated(
            partial(data.scenes, 6000, seed=1, context=0.25),
            partial(data.scenes, 1000, seed=2, context=0.25),
            "; object and ground are two words",
            two_words,
            two_words,
        ),
        15,
    ),
    "scenes_gap": classifier(BALANCED, 40),
    "scenes_shallow": classifier(BALANCED, 12, 1e-3),
    "scenes_deep": classifier(BALANCED, 14, 1e-3),
    "scenes_early": classifier(BALANCED, 4, 1e-3),
    "scenes_context": classifier(world(applications.mixed_scenes, 4000), 40),
    "reviews_lstm": classifier(REVIEWS, 15),
    "reviews_cnn": classifier(REVIEWS, 15),
    "reviews_attention": classifier(REVIEWS, 15),
    "reviews_attention_plain": classifier(REVIEWS, 15),
    "faces_noisy": classifier(
        generated(
            partial(applications.faces, 4000, seed=1),
            partial(applications.faces, 1000, seed=2),
            "; three training labels in ten are turned round",
            wrong_labels,
        ),
        6,
    ),
    "tones": classifier(world(applications.tones, 3000), 12),
    "gait": classifier(world(applications.gait, 3000), 10),
    "molecules": classifier(world(applications.molecules, 4000), 20),
    "questions": classifier(world(applications.questions, 12000), 14, 1e-3),
    "mnist_small": classifier(MNIST, 8, 2e-3),
    "mnist_cnn": classifier(MNIST, 6, 2e-3, models.lenet, "`lib.models.lenet()`"),
}
NETWORKS = {name: make(name) for name, make in CLASSIFIERS.items()} | {
    "game": Network(
        models.game_network,
        "`lib.models.game_network()`",
        GAME,
        learn_game,
        f"{STAGES[-1]:,} steps; kept after {', '.join(map(str, STAGES))}",
        balls_caught,
    ),
    "vae_mnist": Network(
        vae.convolutional_vae,
        "`lib.vae.convolutional_vae()`",
        MNIST,
        fit_vae,
        "80,000 steps of 128 images; settings chosen on 5,000 held-out training images",
        bounds,
    ),
    "planes_mnist": Network(
        vae.Planes,
        "`lib.vae.Planes()`",
        MNIST,
        fit_planes,
        f"{PLANE_STEPS:,} steps of 128 images for each of four networks",
        plane_scores,
    ),
    "faces_gan": Network(
        gans.FaceTranslators,
        "`lib.gans.FaceTranslators()`",
        PORTRAITS,
        grow_old,
        f"{FACE_STEPS} steps of 16 faces for each of four losses, {STAR_STEPS:,} of 32 for star",
        partners_found,
    ),
    "larger_mnist": Network(
        gans.Enlargers,
        "`lib.gans.Enlargers()`",
        MNIST,
        enlarge,
        f"{LARGER_STEPS} steps of 32 images for each of two",
        enlarged,
    ),
    "gan_mnist": Network(
        gans.Generator, "`lib.gans.Generator()`", MNIST, play, f"{GAN_STEPS:,} steps", judgement
    ),
}


def card(name: str, scores: str) -> str:
    """The text of lib/weights/NAME.md."""
    network = NETWORKS[name]
    return CARD.format(
        name=name,
        called=network.called,
        parameters=sum(p.numel() for p in network.build().parameters()),
        source=network.source.text,
        torch=torch.__version__.split("+")[0],
        schedule=network.schedule,
        scores=scores,
        licence=network.source.licence,
        limits=network.source.limits,
    )


def make(name: str, folder: Path, card_alone: bool = False) -> None:
    """Weights and card of one network, written into the folder."""
    network, began = NETWORKS[name], time.process_time()
    model, split, place = network.build(), network.source.split(), folder / f"{name}.safetensors"
    if not card_alone:
        weights = network.train(model, split)
        save_file({key: value.contiguous() for key, value in weights.items()}, place)
    scores = network.score(model, load_file(place), split)
    place.with_suffix(".md").write_text(card(name, scores), encoding="utf-8")
    print(f"{name}, {time.process_time() - began:.0f} CPU seconds: {scores}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help=f"of {', '.join(NETWORKS)}; all if none is named")
    parser.add_argument("--cards", action="store_true", help="measure and write the cards alone")
    parser.add_argument("--into", type=Path, default=models.WEIGHTS, metavar="FOLDER")
    given = parser.parse_args()
    if unknown := set(given.name) - NETWORKS.keys():
        parser.error(f"no network is called {', '.join(sorted(unknown))}")
    given.into.mkdir(parents=True, exist_ok=True)
    for name in given.name or NETWORKS:
        make(name, given.into, given.cards)


if __name__ == "__main__":
    main()
