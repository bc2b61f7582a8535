"""Train the networks of real 28 x 28 digits whose weights come with the book, and write a model
card for each.

    BOOK_DATA=folder python tools/train_mnist.py mnist_cnn vae_mnist gan_mnist      (without
    BOOK_DATA the digits are downloaded)

NAME_card instead of NAME measures the committed weights again and writes the card alone.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from safetensors.torch import save_file
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from lib import data, gans, models, training, vae

CARD = """# {name}

| | |
|---|---|
| network | `{network}`, {parameters:,} parameters, float32 |
| data | MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0), the 60,000 training images |
| command | `python tools/train_mnist.py {name}` (torch {torch}, seed 0, {schedule}) |
| scores | {scores} |
| licence | CC BY-SA 3.0, as the data |
| limits | made for teaching: it knows nothing but handwritten digits |
"""


def save(name: str, model: nn.Module) -> None:
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()},
        models.WEIGHTS / f"{name}.safetensors",
    )


def write_card(name: str, model: nn.Module, network: str, schedule: str, scores: str) -> None:
    parameters = sum(p.numel() for p in model.parameters())
    version = torch.__version__.split("+")[0]
    (models.WEIGHTS / f"{name}.md").write_text(
        CARD.format(
            name=name,
            network=network,
            parameters=parameters,
            torch=version,
            schedule=schedule,
            scores=scores,
        )
    )
    print(scores)


@torch.no_grad()
def run(model: nn.Module, *inputs: Tensor) -> Tensor:
    """The outputs for many inputs, a thousand at a time."""
    return torch.cat([model(*part) for part in zip(*(x.split(1000) for x in inputs))])


def train_cnn(split: data.Split) -> None:
    model = models.lenet()
    training.fit(
        model, split.x_train, split.y_train, epochs=6, learning_rate=2e-3, weight_decay=1e-4
    )
    save("mnist_cnn", model)


def score_cnn(split: data.Split) -> None:
    model = models.mnist_cnn()
    right = {
        part: (run(model, x).argmax(1) == y).float().mean()
        for part, x, y in (
            ("training", split.x_train, split.y_train),
            ("test", split.x_test, split.y_test),
        )
    }
    write_card(
        "mnist_cnn",
        model,
        "lib.models.mnist_cnn()",
        "6 epochs",
        f"accuracy: training {right['training']:.4f}, test {right['test']:.4f}",
    )


def pixels_log_odds(x: Tensor) -> Tensor:
    p = x.flatten(1).mean(0).clamp(1e-3, 1 - 1e-3)
    return torch.log(p / (1 - p))


def train_vae(split: data.Split) -> None:
    model = vae.convolutional_vae()
    model.decoder.bias.data = pixels_log_odds(split.x_train)
    vae.fit(model, split.x_train, 80_000, learning_rate=2e-3, weight_decay=0.01, average=0.999)
    save("vae_mnist", model)


@torch.no_grad()
def score_vae(split: data.Split) -> None:
    """On the 10,000 test images, each turned black and white once by seed 0."""
    model = vae.mnist_vae()
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
    scores = (
        f"ELBO {mean['total']:.2f} = reconstruction {mean['reconstruction']:.2f} - KL "
        f"{mean['kl']:.2f} on the 10,000 test images; negative log-likelihood "
        f"{-log_p.mean():.2f} (standard error {log_p.std() / 1000**0.5:.2f}; importance weights, "
        "1,000 samples, 1,000 random test images); in nats, pixels drawn black or white with the "
        "probability of their grey, seed 0"
    )
    write_card(
        "vae_mnist",
        model,
        "lib.vae.convolutional_vae()",
        "80,000 steps of 128 images; settings chosen on 5,000 held-out training images",
        scores,
    )


GAN_STEPS = 16_000


def train_gan(split: data.Split) -> None:
    generator, discriminator = gans.Generator(), gans.Discriminator()
    gans.train(
        generator, discriminator, split.x_train, split.y_train, GAN_STEPS, noise=0.6, mismatch=True
    )
    save("gan_mnist", generator)


def nearest(of: Tensor, among: Tensor, neighbour: int = 1) -> Tensor:
    """The distance of each row to its `neighbour`-th nearest row of the others."""
    search = NearestNeighbors(n_neighbors=neighbour).fit(among.flatten(1).numpy())
    return torch.from_numpy(search.kneighbors(of.flatten(1).numpy())[0][:, -1])


def coverage(real: Tensor, generated: Tensor, neighbours: int = 5) -> float:
    """The share of real points with a generated one in their ball, as wide as to the 5th nearest
    real one (Naeem et al., 2020, eq. 5).
    """
    return (nearest(real, generated) <= nearest(real, real, neighbours + 1)).float().mean().item()


def score_gan(split: data.Split) -> None:
    """10,000 samples with the labels of the test set, beside the test set and as many training
    images.
    """
    generator, judge = gans.mnist_gan(), models.mnist_cnn()
    with models.seeded(0):
        samples = run(generator, torch.randn(len(split.y_test), generator.latent), split.y_test)
    features = {
        part: run(judge[:-1], x)
        for part, x in (
            ("test", split.x_test),
            ("training", split.x_train[:10_000]),
            ("samples", samples),
        )
    }
    right = (run(judge, samples).argmax(1) == split.y_test).float().mean()
    distance = {
        part: nearest(x, split.x_train)
        for part, x in (("test", split.x_test), ("samples", samples))
    }
    scores = "; ".join(
        [
            "10,000 samples (seed 0) with the labels of the test set, in the 64 features of "
            "`mnist_cnn`: Fréchet distance to the test images "
            f"{gans.frechet_distance(features['test'], features['samples']):.2f} "
            f"({gans.frechet_distance(features['test'], features['training']):.2f} for 10,000 "
            "training images)",
            f"coverage {coverage(features['test'], features['samples']):.3f} "
            f"({coverage(features['test'], features['training']):.3f})",
            f"label accuracy {right:.4f}",
            f"nearest training image, Euclidean distance of pixels: mean "
            f"{distance['samples'].mean():.2f}, smallest {distance['samples'].min():.2f} "
            f"(test images: {distance['test'].mean():.2f}, {distance['test'].min():.2f})",
        ]
    )
    write_card("gan_mnist", generator, "lib.gans.Generator()", f"{GAN_STEPS:,} steps", scores)


JOBS: dict[str, tuple[Callable, Callable]] = {
    "mnist_cnn": (train_cnn, score_cnn),
    "vae_mnist": (train_vae, score_vae),
    "gan_mnist": (train_gan, score_gan),
}

if __name__ == "__main__":
    digits = data.mnist()
    for job in sys.argv[1:]:
        train, score = JOBS[job.removesuffix("_card")]
        if not job.endswith("_card"):
            began = time.process_time()
            train(digits)
            print(f"{time.process_time() - began:.0f} CPU seconds")
        score(digits)
