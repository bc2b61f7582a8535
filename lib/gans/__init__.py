"""Generative adversarial networks: the game between a generator and its critic, its losses, and how to judge who won."""

from .adversarial import KINDS, discriminator_loss, generator_loss, Generator, Discriminator, mnist_gan, gradient_penalty, train, Coverage, mode_coverage, optimal_discriminator, jensen_shannon, bilinear_game, sharpness, frechet_distance
from .crowds import Crowd, ring, grid, blobs
from .translation import Shift, cycle_loss, CycleGAN, train_cycle, cycle_crowd, Star, train_star

__all__ = ["KINDS", "discriminator_loss", "generator_loss", "Generator", "Discriminator", "mnist_gan", "gradient_penalty", "train", "Coverage", "mode_coverage", "optimal_discriminator", "jensen_shannon", "bilinear_game", "sharpness", "frechet_distance", "Crowd", "ring", "grid", "blobs", "Shift", "cycle_loss", "CycleGAN", "train_cycle", "cycle_crowd", "Star", "train_star"]
