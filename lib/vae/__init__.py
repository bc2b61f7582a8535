"""The variational autoencoder: a bound on log p(x), the networks that raise it, and what its codes
hold.
"""

from .autoencoder import (
    PLANES,
    VAE,
    Bound,
    ConvolutionalDecoder,
    DenseDecoder,
    Planes,
    active_units,
    bernoulli_log_likelihood,
    convolutional_vae,
    dense_vae,
    elbo,
    fit,
    gaussian_log_likelihood,
    importance_weighted_bound,
    kl_parts,
    kl_standard_normal,
    latent_traversal,
    mnist_planes,
    mnist_vae,
    reparameterize,
)
from .factors import disentanglement, spots
from .families import RBM, Autoregressive, DeepBelief, Flow, fit_rbm

__all__ = [
    "VAE",
    "DenseDecoder",
    "ConvolutionalDecoder",
    "dense_vae",
    "convolutional_vae",
    "mnist_vae",
    "PLANES",
    "Planes",
    "mnist_planes",
    "reparameterize",
    "kl_standard_normal",
    "bernoulli_log_likelihood",
    "gaussian_log_likelihood",
    "Bound",
    "elbo",
    "importance_weighted_bound",
    "latent_traversal",
    "active_units",
    "kl_parts",
    "fit",
    "spots",
    "disentanglement",
    "Autoregressive",
    "Flow",
    "RBM",
    "DeepBelief",
    "fit_rbm",
]
