"""Train the generators of real 28 x 28 digits whose weights come with the book, and write a model card for each.

    BOOK_DATA=folder python tools/train_generators.py vae_mnist      (without BOOK_DATA the digits are downloaded)
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from safetensors.torch import load_file, save_file

from lib import models, vae
from lib.downloads import mnist_arrays

CARD = """# {name}

| | |
|---|---|
| network | `{network}`, {parameters:,} parameters, float32 |
| data | MNIST (LeCun, Cortes and Burges; CC BY-SA 3.0), the 60,000 training images |
| command | `python tools/train_generators.py {name}` (torch {torch}, seed 0, {steps:,} steps of 128 images); settings chosen on 5,000 held-out training images |
| scores | {scores} |
| licence | CC BY-SA 3.0, as the data |
| limits | made for teaching: it knows nothing but handwritten digits |
"""
STEPS = {"vae_mnist": 80_000}


def pixels_log_odds(x: torch.Tensor) -> torch.Tensor:
    p = x.flatten(1).mean(0).clamp(1e-3, 1 - 1e-3)
    return torch.log(p / (1 - p))


def train_vae() -> None:
    x = mnist_arrays()[0][:, None] / 255
    model = vae.convolutional_vae()
    model.decoder.bias.data = pixels_log_odds(x)
    began = time.process_time()
    vae.fit(model, x, STEPS["vae_mnist"], learning_rate=2e-3, weight_decay=0.01, average=0.999)
    print(f"{time.process_time() - began:.0f} CPU seconds")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, models.WEIGHTS / "vae_mnist.safetensors")
    score_vae()


@torch.no_grad()
def score_vae() -> None:
    """The figures of the card, on the 10,000 test images, each turned black and white once by seed 0."""
    model = vae.convolutional_vae().eval()
    model.load_state_dict(load_file(models.WEIGHTS / "vae_mnist.safetensors"))
    with models.seeded(0):
        x = torch.bernoulli(mnist_arrays()[2][:, None] / 255)
        some = x[torch.randperm(len(x))[:1000]]
    bound = [vae.elbo(model, part) for part in x.split(1000)]
    mean = {part: torch.cat([getattr(b, part) for b in bound]).mean().item() for part in ("total", "reconstruction", "kl")}
    log_p = torch.cat([vae.importance_weighted_bound(model, part, 1000) for part in some.split(50)])
    scores = (f"ELBO {mean['total']:.2f} = reconstruction {mean['reconstruction']:.2f} - KL {mean['kl']:.2f} on the 10,000 test images; "
              f"negative log-likelihood {-log_p.mean():.2f} (standard error {log_p.std() / 1000**0.5:.2f}; importance weights, 1,000 samples, "
              "1,000 random test images); in nats, pixels drawn black or white with the probability of their grey, seed 0")
    parameters = sum(p.numel() for p in model.parameters())
    (models.WEIGHTS / "vae_mnist.md").write_text(CARD.format(name="vae_mnist", network="lib.vae.convolutional_vae()", parameters=parameters,
                                                             steps=STEPS["vae_mnist"], scores=scores, torch=torch.__version__.split("+")[0]))
    print(scores)


if __name__ == "__main__":
    {"vae_mnist": train_vae, "vae_mnist_card": score_vae}[sys.argv[1]]()
