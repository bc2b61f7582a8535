"""Evaluation: what a good explanation should do, as numbers."""

from .properties import Method, conservation, positivity, continuity, selectivity, LIMITS, Cell, properties_table, confidence
from .flipping import REPLACEMENTS, Flipping, pixel_flipping, flipped, word_deleting
from .localisation import relevance_mass, relevance_rank, pointing_game, context_use
from .randomization import Randomization, randomization_check, rank_correlation

__all__ = ["Method", "conservation", "positivity", "continuity", "selectivity", "LIMITS", "Cell", "properties_table", "confidence", "REPLACEMENTS", "Flipping", "pixel_flipping", "flipped", "word_deleting", "relevance_mass", "relevance_rank", "pointing_game", "context_use", "Randomization", "randomization_check", "rank_correlation"]
