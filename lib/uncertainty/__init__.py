"""How far to trust a prediction: what is uncertain in the data, what in the model, and what to do
about it.
"""

from . import noisy
from .annotators import Annotators, dawid_skene, vote_entropy
from .calibration import (
    RejectionCurve,
    Reliability,
    auroc,
    calibration_error,
    fit_temperature,
    rejection_curve,
    reliability,
)
from .conformal import conformal_intervals, conformal_quantile, conformal_sets
from .ensembles import Ensemble
from .entropy import Uncertainty, decompose, decompose_variance, entropy, gaussian_nll, mc_dropout
from .laplace import Laplace, laplace
from .shifts import blurred, noised, rotated

__all__ = [
    "noisy",
    "Uncertainty",
    "entropy",
    "decompose",
    "decompose_variance",
    "gaussian_nll",
    "mc_dropout",
    "Reliability",
    "reliability",
    "calibration_error",
    "fit_temperature",
    "RejectionCurve",
    "rejection_curve",
    "auroc",
    "conformal_quantile",
    "conformal_sets",
    "conformal_intervals",
    "Ensemble",
    "Laplace",
    "laplace",
    "vote_entropy",
    "Annotators",
    "dawid_skene",
    "rotated",
    "blurred",
    "noised",
]
