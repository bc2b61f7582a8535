"""Generative adversarial networks: the game between a generator and its critic, its losses, and how
to judge who won.
"""

from .adversarial import (
    KINDS,
    Coverage,
    Discriminator,
    Generator,
    bilinear_game,
    discriminator_loss,
    frechet_distance,
    generator_loss,
    gradient_penalty,
    jensen_shannon,
    mnist_gan,
    mode_coverage,
    optimal_discriminator,
    sharpness,
    train,
)
from .arena import Arena
from .crowds import Crowd, blobs, grid, moons, ring
from .duel import DESCENTS, HOLDS, Duel
from .translation import CycleGAN, Shift, Star, cycle_crowd, cycle_loss, train_cycle, train_star

__all__ = [
    "KINDS",
    "discriminator_loss",
    "generator_loss",
    "Generator",
    "Discriminator",
    "mnist_gan",
    "gradient_penalty",
    "train",
    "Coverage",
    "mode_coverage",
    "optimal_discriminator",
    "jensen_shannon",
    "bilinear_game",
    "sharpness",
    "frechet_distance",
    "Crowd",
    "ring",
    "grid",
    "moons",
    "blobs",
    "HOLDS",
    "DESCENTS",
    "Duel",
    "Arena",
    "Shift",
    "cycle_loss",
    "CycleGAN",
    "train_cycle",
    "cycle_crowd",
    "Star",
    "train_star",
]
