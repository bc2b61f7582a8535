"""Explanations of scikit-learn's support vector machines: linear ones term by term, kernel machines
as small networks.

Neuralisation (Kauffmann et al., 2020): a Gaussian kernel machine is rewritten, without retraining,
as a layer of squared distances d_j = |x - u_j|^2 to its support vectors u_j and a soft minimum over
them,

    smin_j d_j = -1/gamma log sum_j alpha_j exp(-gamma d_j),

and relevance is sent back through these two layers. With the weights p_j = alpha_j exp(-gamma d_j)
/ sum_j (the same),
    smin_j d_j = sum_j p_j d_j + 1/gamma sum_j p_j log(p_j / alpha_j):
a part that lies in the distances and a part that lies in the coefficients alpha.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.contract import class_index


def linear_svm(estimator: Any, x: Any, target: int | Tensor | None = None) -> Any:
    """R_i = x_i w_ic, the terms of a linear score f_c(x) = sum_i x_i w_ic + b_c: LRP-0 for a linear
    model (Bach et al., 2015).

    Parameters
    ----------
    estimator : fitted linear classifier of scikit-learn with K classes: `LinearSVC`,
        `LogisticRegression`, a `SVC(kernel="linear")` of two classes. Of two classes, class 1 has
        the decision function as its score, class 0 its negative.
    x : array, tensor or sparse matrix (N, D), rows of a bag of words for example.
    target : None (the class with the highest score), an int, or N ints, as positions in
        `estimator.classes_`.

    Returns
    -------
    Relevance like x (sparse if x is). For every sample relevance.sum() = f_c(x) - b_c: the
    intercept b_c keeps its share.

    Raises TypeError, ValueError or scikit-learn's NotFittedError: a bad argument, another kind of
    estimator, one not fitted.

    Example
    -------
    >>> from sklearn.svm import LinearSVC
    >>> estimator = LinearSVC().fit([[0.0, 0.0], [2.0, 0.0]], ["no", "yes"])
    >>> estimator.coef_[0, 0] = 0.5
    >>> linear_svm(estimator, np.array([[2.0, 5.0]]), target=1)
    array([[1., 0.]])
    """
    _check_fitted(estimator)
    if not (hasattr(estimator, "coef_") and hasattr(estimator, "classes_")):
        raise TypeError(
            f"estimator: expected a linear classifier such as LinearSVC, got {estimator!r}"
        )
    if hasattr(estimator, "support_vectors_") and len(estimator.classes_) > 2:
        raise ValueError(
            f"estimator: expected two classes or LinearSVC, got {len(estimator.classes_)} "
            f"classes; {type(estimator).__name__} decides between pairs of classes"
        )
    values = _values(estimator, x, sparse=True)
    scores, w = torch.as_tensor(estimator.decision_function(values)), _dense(estimator.coef_)
    if scores.dim() == 1:
        scores, w = torch.stack([-scores, scores], 1), np.concatenate([-w, w])
    w = w[_class_index(scores, target)]
    return _like(values.multiply(w) if hasattr(values, "multiply") else values * w, x)


def one_class_svm(estimator: Any, x: Any) -> Any:
    """The outlier score of a Gaussian one-class SVM shared out by two-layer deep Taylor
    decomposition (Kauffmann et al., 2020).

    With alpha_j summing to 1, o(x) = smin_j d_j >= 0 grows where the decision function falls. First
    each support vector gets R_j = p_j o(x), then each input R_i = sum_j (x_i - u_ij)^2 / d_j R_j:
    large where x departs from its neighbours.

    Parameters
    ----------
    estimator : fitted `OneClassSVM(kernel="rbf")`.
    x : array or tensor (N, D).

    Returns
    -------
    Relevance >= 0 like x. For every sample relevance.sum() = o(x) = `neuralized_score(estimator,
    x)`, the part of the alphas, 1/gamma KL(p, alpha) >= 0, included: it is shared out with the
    distances'. Only where x is itself a support vector, d_j = 0, that vector keeps its R_j: a
    training point that was an outlier is explained by the others alone.

    Raises TypeError, ValueError or NotFittedError: a bad argument, another kernel or estimator, one
        not fitted.

    Example
    -------
    >>> from sklearn.svm import OneClassSVM
    >>> estimator = OneClassSVM(gamma=1.0).fit([[0.0, 0.0]])
    >>> one_class_svm(estimator, np.array([[2.0, -1.0]]))
    array([[4., 1.]])
    """
    vectors, alpha = _machine(estimator, "OneClassSVM")
    values = _values(estimator, x)
    distances = _distances(values, vectors)
    score, p = _soft_minimum(distances, alpha / alpha.sum(), estimator._gamma)
    shares = np.divide(p * score[:, None], distances, out=np.zeros_like(p), where=distances > 0)
    return _like(_weighted_squares(values, vectors, shares), x)


def kernel_svm(estimator: Any, x: Any, target: int | Tensor | None = None) -> Any:
    """A Gaussian SVM of two classes as a network of distances, explained by the midpoint rule (Bley
    et al., 2025).

    The score of class 1 is g(x) = smin_- d_k - smin_+ d_j over the support vectors of either class,
    that of class 0 its negative. It has the sign of the decision function: the intercept b counts
    as a vector at x with alpha = |b|. Then R_i = sum_k q_k (x_i - u_ik)^2 - sum_j p_j (x_i -
    u_ij)^2: for the class where x differs from the other class's neighbours.

    Parameters
    ----------
    estimator : fitted `SVC(kernel="rbf")` of two classes.
    x : array or tensor (N, D).
    target : as for `linear_svm`.

    Returns
    -------
    Relevance like x. For every sample relevance.sum() + 1/gamma (sum_k q_k log(q_k / alpha_k) -
    sum_j p_j log(p_j / alpha_j)) = g(x) = `neuralized_score(estimator, x)` for class 1: what the
    coefficients say stays with them.

    Raises TypeError, ValueError or NotFittedError: a bad argument, another kernel or estimator, one
        not fitted.

    Example
    -------
    >>> from sklearn.svm import SVC
    >>> estimator = SVC(gamma=1.0).fit([[0.0, 0.0], [2.0, 0.0]], ["no", "yes"])
    >>> kernel_svm(estimator, np.array([[2.0, 5.0]]), target=1)
    array([[4., 0.]])
    """
    vectors, alpha = _machine(estimator, "SVC")
    values = _values(estimator, x)
    score, parts = _two_classes(estimator, values, vectors, alpha)
    classes = _class_index(torch.as_tensor(np.stack([-score, score], 1)), target)
    relevance = sum(
        sign * _weighted_squares(values, vectors[side], weights) for sign, side, weights in parts
    )
    return _like(np.where(classes[:, None] == 1, relevance, -relevance), x)


def neuralized_score(estimator: Any, x: Any) -> np.ndarray:
    """The score (N,) that `one_class_svm` and `kernel_svm` (for class 1) explain, in units of
    squared distance. Arguments and errors as those of these two.

    >>> from sklearn.svm import OneClassSVM
    >>> neuralized_score(OneClassSVM(gamma=1.0).fit([[0.0, 0.0]]), np.array([[2.0, -1.0]]))
    array([5.])
    """
    vectors, alpha = _machine(estimator, "OneClassSVM", "SVC")
    values = _values(estimator, x)
    if hasattr(estimator, "classes_"):
        return _two_classes(estimator, values, vectors, alpha)[0]
    return _soft_minimum(_distances(values, vectors), alpha / alpha.sum(), estimator._gamma)[0]


def _two_classes(
    estimator: Any, values: np.ndarray, vectors: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, list[tuple]]:
    """g(x) (N,) and, for either class, its sign in the relevance, which vectors are its own and
    their weights (N, M).
    """
    score, parts = np.zeros(len(values)), []
    for sign in (-1, 1):
        side, intercept = sign * alpha > 0, max(sign * estimator.intercept_[0], 0)
        distances, coefficients = _distances(values, vectors[side]), abs(alpha[side])
        if intercept:
            distances = np.pad(distances, ((0, 0), (0, 1)))
            coefficients = np.append(coefficients, intercept)
        smin, weights = _soft_minimum(distances, coefficients, estimator._gamma)
        score = score - sign * smin
        parts.append((-sign, side, weights[:, : side.sum()]))
    return score, parts


def _soft_minimum(
    distances: np.ndarray, alpha: np.ndarray, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """-1/gamma log sum_j alpha_j exp(-gamma d_j) for every row of distances (N, M), and the weights
    p_j (N, M).
    """
    exponent = np.log(alpha) - gamma * distances
    total = np.logaddexp.reduce(exponent, 1, keepdims=True)
    return -total[:, 0] / gamma + 0.0, np.exp(exponent - total)


def _distances(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """|x - u_j|^2: (N, M) from (N, D) and (M, D)."""
    return np.stack([((values - u) ** 2).sum(1) for u in vectors], 1)


def _weighted_squares(values: np.ndarray, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_j w_j (x_i - u_ij)^2: (N, D) from values (N, D), vectors (M, D) and weights (N, M)."""
    return sum(w[:, None] * (values - u) ** 2 for u, w in zip(vectors, weights.T))


def _machine(estimator: Any, *kinds: str) -> tuple[np.ndarray, np.ndarray]:
    """Support vectors (M, D) and signed coefficients (M,) of a Gaussian kernel machine of one of
    these kinds, those with 0 left out.
    """
    _check_fitted(estimator)
    if type(estimator).__name__ not in kinds:
        raise TypeError(f"estimator: expected {' or '.join(kinds)}, got {estimator!r}")
    if estimator.kernel != "rbf":
        raise ValueError(f"estimator: expected the kernel 'rbf', got {estimator.kernel!r}")
    if len(getattr(estimator, "classes_", ())) > 2:
        raise ValueError(
            f"estimator: expected two classes, got {len(estimator.classes_)}; SVC decides "
            f"between pairs of classes"
        )
    vectors, alpha = _dense(estimator.support_vectors_), _dense(estimator.dual_coef_)[0]
    return vectors[alpha != 0], alpha[alpha != 0]


def _check_fitted(estimator: Any) -> None:
    from sklearn.base import BaseEstimator
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"estimator: expected a scikit-learn estimator, got "
            f"{'the class itself' if isinstance(estimator, type) else type(estimator).__name__}"
        )
    check_is_fitted(estimator)


def _values(estimator: Any, x: Any, sparse: bool = False) -> Any:
    """x as a float64 array (N, D), or as it is if it is sparse and may be."""
    if hasattr(x, "tocsr") and sparse:
        values, finite = x.tocsr().astype(np.float64), x.tocsr().data
    elif isinstance(x, (np.ndarray, Tensor)):
        values = finite = (x.detach().cpu().numpy() if isinstance(x, Tensor) else x).astype(
            np.float64
        )
    else:
        raise TypeError(
            f"x: expected an array or a tensor{' or a sparse matrix' * sparse}, got "
            f"{type(x).__name__}"
        )
    count = estimator.n_features_in_
    if values.ndim != 2 or values.shape[1] != count or values.shape[0] == 0:
        raise ValueError(
            f"x: expected shape (N, {count}) with N >= 1, as the estimator was fitted, got "
            f"{tuple(x.shape)}"
        )
    if not np.isfinite(finite).all():
        raise ValueError("x: expected finite values, got NaN or infinity")
    return values


def _class_index(scores: Tensor, target: Any) -> np.ndarray:
    return class_index(
        scores, torch.as_tensor(target) if isinstance(target, np.ndarray) else target
    ).numpy()


def _like(relevance: Any, x: Any) -> Any:
    """Of x's kind, dtype and device; whole numbers, counts of words say, get float64."""
    if isinstance(x, Tensor):
        return torch.as_tensor(
            relevance, dtype=x.dtype if x.is_floating_point() else torch.float64, device=x.device
        )
    relevance = relevance.astype(x.dtype if np.issubdtype(x.dtype, np.floating) else np.float64)
    return relevance.asformat(x.format) if hasattr(x, "tocsr") else relevance


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix
