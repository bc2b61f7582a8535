"""Evaluation: what a good explanation should do, as numbers."""

from .desiderata import complexity, infidelity, max_sensitivity
from .flipping import REPLACEMENTS, Flipping, flipped, pixel_flipping, word_deleting
from .localisation import context_use, pointing_game, relevance_mass, relevance_rank
from .planted import Planted, displaced, planted, planted_truth
from .properties import (
    LIMITS,
    Cell,
    Method,
    confidence,
    conservation,
    continuity,
    positivity,
    properties_table,
    selectivity,
)
from .randomization import Randomization, randomization_check, rank_correlation, shuffled
from .retraining import most_relevant

__all__ = [
    "Method",
    "conservation",
    "positivity",
    "continuity",
    "selectivity",
    "LIMITS",
    "Cell",
    "properties_table",
    "confidence",
    "REPLACEMENTS",
    "Flipping",
    "pixel_flipping",
    "flipped",
    "word_deleting",
    "relevance_mass",
    "relevance_rank",
    "pointing_game",
    "context_use",
    "max_sensitivity",
    "infidelity",
    "complexity",
    "Planted",
    "planted",
    "planted_truth",
    "displaced",
    "Randomization",
    "most_relevant",
    "randomization_check",
    "shuffled",
    "rank_correlation",
]
