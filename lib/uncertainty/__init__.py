"""How far to trust a prediction: what is uncertain in the data, what in the model, and what to do about it."""

from . import noisy
from .entropy import Uncertainty, entropy, decompose, decompose_variance, gaussian_nll, mc_dropout
from .calibration import Reliability, reliability, calibration_error, fit_temperature, RejectionCurve, rejection_curve, auroc
from .conformal import conformal_quantile, conformal_sets
from .ensembles import Ensemble
from .laplace import Laplace, laplace
from .annotators import vote_entropy, Annotators, dawid_skene

__all__ = ["noisy", "Uncertainty", "entropy", "decompose", "decompose_variance", "gaussian_nll", "mc_dropout", "Reliability", "reliability", "calibration_error", "fit_temperature", "RejectionCurve", "rejection_curve", "auroc", "conformal_quantile", "conformal_sets", "Ensemble", "Laplace", "laplace", "vote_entropy", "Annotators", "dawid_skene"]
