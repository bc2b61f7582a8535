"""The walk forward and back through a network that every relevance method shares."""

from .backward import send_back
from .contract import (
    check_arguments,
    check_scores,
    class_index,
    gradient_of_score,
    slope,
    undisturbed,
)
from .frozen import attention_weights
from .graph import pull
from .linear import LinearMap, Rule
from .refusal import NoRuleError
from .steps import Call, Step
from .tracing import Tracer, trace

__all__ = [
    "attention_weights",
    "Call",
    "LinearMap",
    "NoRuleError",
    "Rule",
    "Step",
    "Tracer",
    "check_arguments",
    "check_scores",
    "class_index",
    "gradient_of_score",
    "pull",
    "send_back",
    "slope",
    "trace",
    "undisturbed",
]
