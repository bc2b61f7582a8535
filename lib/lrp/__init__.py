"""Layer-wise relevance propagation: the score of a network shared out among its inputs, layer by layer."""

from .propagation import Layer, lrp, simple_taylor, deep_taylor
from .rules import Zero, Epsilon, Gamma, AlphaBeta, ZPlus, ZBox, WSquare, Flat, Rule, Composite, COMPOSITES
from .relatives import deep_lift, excitation_backprop, contribution_propagation, estimate_patterns, pattern_net, pattern_attribution
from .kernels import linear_svm, one_class_svm, kernel_svm, neuralized_score

__all__ = ["Layer", "lrp", "simple_taylor", "deep_taylor", "Zero", "Epsilon", "Gamma", "AlphaBeta", "ZPlus", "ZBox", "WSquare", "Flat", "Rule", "Composite", "COMPOSITES", "deep_lift", "excitation_backprop", "contribution_propagation", "estimate_patterns", "pattern_net", "pattern_attribution", "linear_svm", "one_class_svm", "kernel_svm", "neuralized_score"]
