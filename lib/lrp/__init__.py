"""Layer-wise relevance propagation: the score of a network shared out among its inputs, layer by
layer.
"""

from .account import Layer, RelevanceWarning
from .kernels import kernel_svm, linear_svm, neuralized_score, one_class_svm
from .propagation import deep_taylor, lrp, simple_taylor
from .relatives import (
    contribution_propagation,
    deep_lift,
    estimate_patterns,
    excitation_backprop,
    pattern_attribution,
    pattern_net,
)
from .rules import (
    COMPOSITES,
    AlphaBeta,
    Composite,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)

__all__ = [
    "Layer",
    "RelevanceWarning",
    "lrp",
    "simple_taylor",
    "deep_taylor",
    "Zero",
    "Epsilon",
    "Gamma",
    "AlphaBeta",
    "ZPlus",
    "ZBox",
    "WSquare",
    "Flat",
    "Composite",
    "COMPOSITES",
    "deep_lift",
    "excitation_backprop",
    "contribution_propagation",
    "estimate_patterns",
    "pattern_net",
    "pattern_attribution",
    "linear_svm",
    "one_class_svm",
    "kernel_svm",
    "neuralized_score",
]
