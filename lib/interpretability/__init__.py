"""The first questions to a network: what is typical of a class, which part of this input matters,
and how sure is that?
"""

from .attention import attention_gradient, attention_rollout, rollout, shuffled
from .coalitions import lime, shapley
from .concepts import (
    concept_derivative,
    concept_direction,
    counterfactual,
    nearest_counterfactual,
)
from .perturbation import meaningful_perturbation, occlusion, prediction_difference
from .prototypes import prototype
from .trees import grow_tree, tree_rules

__all__ = [
    "prototype",
    "occlusion",
    "prediction_difference",
    "meaningful_perturbation",
    "lime",
    "shapley",
    "attention_rollout",
    "rollout",
    "attention_gradient",
    "shuffled",
    "concept_direction",
    "concept_derivative",
    "counterfactual",
    "nearest_counterfactual",
    "grow_tree",
    "tree_rules",
]
