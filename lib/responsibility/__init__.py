"""What a trained model reveals of one person, and training with a bound on it."""

from .energy import measure_energy
from .languages import LANGUAGES, mixture, parallel_sentences
from .privacy import (
    Membership,
    advantage_bound,
    clipped_sum,
    dp_fit,
    dp_sgd_step,
    epsilon,
    losses,
    membership_inference,
    noise_for,
    per_sample_gradients,
    renyi_divergence,
)
from .promises import CHAPTERS, Promises, promises
from .tokens import count_words, encode, merge, split_bytes, tokens_per_sentence, train_bpe

__all__ = [
    "Membership",
    "losses",
    "membership_inference",
    "per_sample_gradients",
    "clipped_sum",
    "dp_sgd_step",
    "dp_fit",
    "renyi_divergence",
    "epsilon",
    "noise_for",
    "advantage_bound",
    "count_words",
    "train_bpe",
    "merge",
    "encode",
    "split_bytes",
    "tokens_per_sentence",
    "LANGUAGES",
    "parallel_sentences",
    "mixture",
    "measure_energy",
    "CHAPTERS",
    "Promises",
    "promises",
]
