"""The checks of the exercises: `checks.check_NAME(NAME)` returns None if the answer is right, else raises AssertionError with a hint."""

from .applications import (
    check_evidence_balance, check_mass_by_stage, check_set_context_use, check_topic_relevance, check_truth_auc, check_word_scores,
)  # fmt: skip
from .bias import (
    check_adjusted_effect, check_opportunity_gap, check_parity_gap, check_permutation_p, check_remove_direction, check_reweighing, check_weat,
)  # fmt: skip
from .evaluation import (
    check_aopc, check_context_ratio, check_flip_curve, check_mass_inside, check_random_curve, check_rank_correlation,
)  # fmt: skip
from .gans import (
    check_d_loss, check_g_loss_nonsaturating, check_jsd, check_modes_covered, check_optimal_discriminator, check_slope_penalty, check_train_step,
)  # fmt: skip
from .interpretability import (
    check_class_prototype, check_conservation_error, check_grad_times_input, check_lime_weights, check_linear_contributions, check_occlusion,
    check_shapley_values,
)  # fmt: skip
from .lrp import (
    check_absorbed_by_bias, check_deep_lift_layer, check_lrp_alphabeta, check_lrp_epsilon, check_lrp_mlp, check_lrp_zb, check_lrp_zplus,
    check_lstm_word_relevance, check_one_class_relevance,
)  # fmt: skip
from .responsibility import (
    check_emissions, check_epsilon_of, check_language_premium, check_membership_advantage, check_merge_pair, check_private_sum,
)  # fmt: skip
from .sensitivity import (
    check_finite_diff, check_grad_cam_map, check_guided_relu, check_integrated_gradients, check_n_pieces, check_sensitivity, check_smoothgrad,
)  # fmt: skip
from .uncertainty import (
    check_conformal_set, check_ece, check_ensemble_gaussian, check_mc_dropout, check_mutual_information, check_predictive_entropy,
)  # fmt: skip
from .vae import check_bernoulli_nll, check_elbo_mc, check_iw_bound, check_kl_std_normal, check_neg_elbo, check_reparameterize

__all__ = [
    "check_absorbed_by_bias", "check_deep_lift_layer", "check_lrp_alphabeta", "check_lrp_epsilon", "check_lrp_mlp", "check_lrp_zb", "check_lrp_zplus",
    "check_lstm_word_relevance", "check_one_class_relevance",
    "check_finite_diff", "check_grad_cam_map", "check_guided_relu", "check_integrated_gradients", "check_n_pieces", "check_sensitivity", "check_smoothgrad",
    "check_class_prototype", "check_conservation_error", "check_grad_times_input", "check_lime_weights", "check_linear_contributions", "check_occlusion",
    "check_shapley_values",
    "check_aopc", "check_context_ratio", "check_flip_curve", "check_mass_inside", "check_random_curve", "check_rank_correlation",
    "check_evidence_balance", "check_mass_by_stage", "check_set_context_use", "check_topic_relevance", "check_truth_auc", "check_word_scores",
    "check_bernoulli_nll", "check_elbo_mc", "check_iw_bound", "check_kl_std_normal", "check_neg_elbo", "check_reparameterize",
    "check_d_loss", "check_g_loss_nonsaturating", "check_jsd", "check_modes_covered", "check_optimal_discriminator", "check_slope_penalty", "check_train_step",
    "check_conformal_set", "check_ece", "check_ensemble_gaussian", "check_mc_dropout", "check_mutual_information", "check_predictive_entropy",
    "check_emissions", "check_epsilon_of", "check_language_premium", "check_membership_advantage", "check_merge_pair", "check_private_sum",
    "check_adjusted_effect", "check_opportunity_gap", "check_parity_gap", "check_permutation_p", "check_remove_direction", "check_reweighing", "check_weat",
]
