"""Bias of word vectors measured and removed, effects with and without their confounder, and the rooms on decisions and worlds."""

from . import worlds
from .vectors import Weat, association, weat, wefat, bias_direction, remove_projection, projection_penalty, naive_effect, adjusted_effect
from .fairness import Rates, rates_from_counts, group_rates, implied_fpr, reweighing, Policy, CRITERIA, fair_thresholds, decide
from .corpora import FEMALE, MALE, SCIENCE, ARTS, JOBS, WORDS, INDEX, Corpus, corpus, weat_sets, jobs, word_vectors

__all__ = ["worlds", "Weat", "association", "weat", "wefat", "bias_direction", "remove_projection", "projection_penalty", "naive_effect", "adjusted_effect", "Rates", "rates_from_counts", "group_rates", "implied_fpr", "reweighing", "Policy", "CRITERIA", "fair_thresholds", "decide", "FEMALE", "MALE", "SCIENCE", "ARTS", "JOBS", "WORDS", "INDEX", "Corpus", "corpus", "weat_sets", "jobs", "word_vectors"]
