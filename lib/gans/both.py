"""A VAE whose pictures a critic judges too: VAE-GAN (Larsen et al., 2016)."""

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..training import MovingAverage, descend
from ..vae import VAE, kl_standard_normal, reparameterize
from .adversarial import discriminator_loss, falling, generator_loss


def train_both(
    model: VAE,
    critic: nn.Sequential,
    x: Tensor,
    steps: int,
    batch: int = 64,
    learning_rate: float = 1e-3,
    gamma: float = 1.0,
    average: float = 0.99,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """A reconstruction must have the critic's features of its picture, and reconstructions and
    samples must fool the critic; in place (Larsen et al., 2016, algorithm 1).

    model: of pixels that are 0 or 1; its expected pictures are judged.
    critic: flat pictures (N, P) to logits (N, 1); all but its last layer give the features.
    x: pictures (N, ...) of P pixels.
    gamma: what the difference of features weighs in the decoder's loss, beside the game.
    average: at the end the model gets the moving average of its weights with this decay.

    The encoder lowers the difference of the features, half the sum of squares, plus the
    Kullback-Leibler divergence; the game does not reach it. Adam with a rate that falls to 0. The
    global random state is left as it was.
    Raises TypeError if encoder or decoder is no network.

    >>> from lib import vae
    >>> critic = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> train_both(vae.dense_vae(), critic, torch.rand(9, 1, 8, 8), 2, progress=False)
    """
    if not (isinstance(model.encoder, nn.Module) and isinstance(model.decoder, nn.Module)):
        raise TypeError("model: expected an encoder and a decoder that are networks (nn.Module)")
    parts = (model.encoder, model.decoder, critic)
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        players = [
            torch.optim.Adam(net.parameters(), learning_rate, betas=(0.5, 0.99)) for net in parts
        ]
        lower_rates = falling(players, steps)
        features, averaged = critic[:-1], MovingAverage(model, average)
        for _ in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            true = x[torch.randint(len(x), (batch,), device=x.device)].flatten(1)
            mean, log_variance = model.encode(true)
            again = model.expected(reparameterize(mean, log_variance))
            sample = model.expected(torch.randn_like(mean))
            made = torch.cat([again, sample])
            game = discriminator_loss(critic(true), critic(made.detach()))
            descend(players[2], game)
            unlike = 0.5 * ((features(again) - features(true)) ** 2).sum(1).mean()
            inner = unlike + kl_standard_normal(mean, log_variance).mean()
            slopes = torch.autograd.grad(inner, list(model.encoder.parameters()), retain_graph=True)
            descend(players[1], gamma * unlike + generator_loss(critic(made)))
            for parameter, slope in zip(model.encoder.parameters(), slopes):
                parameter.grad = slope
            players[0].step()
            lower_rates()
            averaged.update()
    averaged.put()
