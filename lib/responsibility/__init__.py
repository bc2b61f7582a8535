"""What a trained model reveals of one person, and training with a bound on it."""

from .privacy import Membership, losses, membership_inference, per_sample_gradients, clipped_sum, dp_sgd_step, dp_fit, renyi_divergence, epsilon, noise_for, advantage_bound
from .tokens import count_words, train_bpe, merge, encode, split_bytes, tokens_per_sentence
from .languages import LANGUAGES, parallel_sentences, mixture
from .energy import measure_energy
from .promises import CHAPTERS, Promises, promises

__all__ = ["Membership", "losses", "membership_inference", "per_sample_gradients", "clipped_sum", "dp_sgd_step", "dp_fit", "renyi_divergence", "epsilon", "noise_for", "advantage_bound", "count_words", "train_bpe", "merge", "encode", "split_bytes", "tokens_per_sentence", "LANGUAGES", "parallel_sentences", "mixture", "measure_energy", "CHAPTERS", "Promises", "promises"]
