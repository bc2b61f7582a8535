"""The checks of the exercises: `checks.check_NAME(NAME)` returns None if the answer is right, else raises AssertionError with a hint."""

from .lrp import (
    check_absorbed_by_bias, check_deep_lift_layer, check_lrp_alphabeta, check_lrp_epsilon, check_lrp_mlp, check_lrp_zb, check_lrp_zplus,
    check_lstm_word_relevance, check_one_class_relevance,
)  # fmt: skip

__all__ = [
    "check_absorbed_by_bias", "check_deep_lift_layer", "check_lrp_alphabeta", "check_lrp_epsilon", "check_lrp_mlp", "check_lrp_zb", "check_lrp_zplus",
    "check_lstm_word_relevance", "check_one_class_relevance",
]
