"""Plays the long games of the chapter on adversarial networks, ten seeds each, and stores what came
out in lib/data/measured.json.

python tools/play_games.py coverage                      about ten minutes on one core
BOOK_DATA=folder python tools/play_games.py sharpness    of real 28 x 28 digits (without BOOK_DATA
they are downloaded)
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import torch
from stored import store

from lib import data, gans

MEMBERS, SPREAD = 10, 0.05
# the centres, and the steps of the generator
WORLDS = {
    "ring of 8": (gans.ring(8), 3000),
    "grid of 25": (gans.grid(5), 8000),
}
GAMES = {
    "saturating": {"kind": "saturating"},
    "non-saturating": {},
    "non-saturating, twice as long": {"longer": 2},
    "least squares": {"kind": "least squares"},
    "hinge, spectral norm": {"kind": "hinge", "spectral": True},
    "Wasserstein, gradient penalty": {
        "kind": "wasserstein",
        "penalty": 0.1,
        "critic_steps": 2,
        "critic_rate": 2e-3,
        "betas": (0.5, 0.9),
    },
}


def play(
    centres: torch.Tensor, steps: int, longer: int = 1, spectral: bool = False, **settings
) -> dict:
    """The modes with at least a tenth of their share of 2,500 samples, the quality of each seed,
    and 250 samples of the first, in hundredths.
    """
    x, _ = gans.blobs(centres, 50_000, SPREAD)
    generator = gans.Crowd(MEMBERS, (2, 64, 64, 64, 2), seed=1)
    critic = gans.Crowd(MEMBERS, (2, 64, 64, 64, 1), spectral, seed=2)
    gans.train(
        generator, critic, x, None, longer * steps, batch=128 * MEMBERS, average=0.99, **settings
    )
    with torch.no_grad():
        z = torch.randn(2500 * MEMBERS, 2, generator=torch.Generator().manual_seed(3))
        samples = generator.shares(generator(z))
    found = [
        gans.mode_coverage(part, centres, 3 * SPREAD, min_count=250 // len(centres))
        for part in samples
    ]
    return {
        "covered": [c.covered for c in found],
        "quality": [round(c.quality, 3) for c in found],
        "samples": (100 * samples[0, :250]).round().int().tolist(),
    }


def coverage() -> dict:
    result = {world: {} for world in WORLDS}
    for world, (centres, steps) in WORLDS.items():
        for name, settings in GAMES.items():
            result[world][name] = play(centres, steps, **settings)
            print(
                world,
                name,
                result[world][name]["covered"],
                result[world][name]["quality"],
                flush=True,
            )
    return result


def sharpness() -> dict:
    return {"MNIST test images": round(gans.sharpness(data.mnist().x_test).mean().item(), 4)}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        value = {"coverage": coverage, "sharpness": sharpness}[name]()
        store(name, value)
