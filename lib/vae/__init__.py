"""The variational autoencoder: a bound on log p(x), the networks that raise it, and what its codes hold."""

from .autoencoder import VAE, DenseDecoder, ConvolutionalDecoder, dense_vae, convolutional_vae, mnist_vae, reparameterize, kl_standard_normal, bernoulli_log_likelihood, gaussian_log_likelihood, Bound, elbo, importance_weighted_bound, latent_traversal, active_units, kl_parts, fit
from .families import Autoregressive, RBM, fit_rbm

__all__ = ["VAE", "DenseDecoder", "ConvolutionalDecoder", "dense_vae", "convolutional_vae", "mnist_vae", "reparameterize", "kl_standard_normal", "bernoulli_log_likelihood", "gaussian_log_likelihood", "Bound", "elbo", "importance_weighted_bound", "latent_traversal", "active_units", "kl_parts", "fit", "Autoregressive", "RBM", "fit_rbm"]
