"""What every explanation method shares: checked arguments, a chosen class, and a model that is left as it was."""

from .contract import check_arguments, check_scores, class_index, undisturbed, gradient_of_score, slope
from .tracing import Tracer, trace
from .steps import Step, LinearMap
from .backward import send_back

__all__ = ["check_arguments", "check_scores", "class_index", "undisturbed", "gradient_of_score", "slope", "Tracer", "trace", "Step", "LinearMap", "send_back"]
