"""Whom a model serves, what it reveals, what it costs: the price of a language, privacy, energy. Each in a file of its own."""

from .energy import measure_energy as measure_energy
from .languages import LANGUAGES as LANGUAGES
from .languages import mixture as mixture
from .languages import parallel_sentences as parallel_sentences
from .privacy import Membership as Membership
from .privacy import advantage_bound as advantage_bound
from .privacy import clipped_sum as clipped_sum
from .privacy import dp_fit as dp_fit
from .privacy import dp_sgd_step as dp_sgd_step
from .privacy import epsilon as epsilon
from .privacy import losses as losses
from .privacy import membership_inference as membership_inference
from .privacy import noise_for as noise_for
from .privacy import per_sample_gradients as per_sample_gradients
from .privacy import renyi_divergence as renyi_divergence
from .promises import CHAPTERS as CHAPTERS
from .promises import Promises as Promises
from .promises import promises as promises
from .tokens import count_words as count_words
from .tokens import encode as encode
from .tokens import merge as merge
from .tokens import split_bytes as split_bytes
from .tokens import tokens_per_sentence as tokens_per_sentence
from .tokens import train_bpe as train_bpe
