"""What every explanation method shares: checked arguments, a chosen class, and a model that is left
as it was.
"""

from .backward import send_back
from .contract import (
    check_arguments,
    check_scores,
    class_index,
    gradient_of_score,
    slope,
    undisturbed,
)
from .steps import LinearMap, Step
from .tracing import Tracer, trace

__all__ = [
    "check_arguments",
    "check_scores",
    "class_index",
    "undisturbed",
    "gradient_of_score",
    "slope",
    "Tracer",
    "trace",
    "Step",
    "LinearMap",
    "send_back",
]
