"""The first questions to a network: what is typical of a class, which part of this input matters, and how sure is that?"""

from .prototypes import prototype
from .perturbation import occlusion, prediction_difference, meaningful_perturbation
from .coalitions import lime, shapley
from .attention import attention_rollout, rollout, shuffled
from .trees import grow_tree, tree_rules

__all__ = ["prototype", "occlusion", "prediction_difference", "meaningful_perturbation", "lime", "shapley", "attention_rollout", "rollout", "shuffled", "grow_tree", "tree_rules"]
