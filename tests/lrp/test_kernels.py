"""Support vector machines explained: plain loops, sums against the scores, what the coefficients
keep, bad inputs.
"""

import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVC, LinearSVC, NuSVC, OneClassSVM

from lib.lrp import kernel_svm, linear_svm, neuralized_score, one_class_svm

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(80, 5))
TWO, THREE = (
    (DATA[:, 0] + DATA[:, 1] ** 2 > 0.6).astype(int),
    (DATA[:, 0] > 0) + 1 * (DATA[:, 1] > 0.4),
)
POINTS = RNG.normal(size=(12, 5)) * 1.5


# Linear machines.

LINEAR = {
    "LinearSVC": LinearSVC(C=0.3),
    "LogisticRegression": LogisticRegression(),
    "SVC": SVC(kernel="linear"),
    "NuSVC": NuSVC(kernel="linear", nu=0.3),
    "no intercept": LinearSVC(fit_intercept=False),
}


@pytest.mark.parametrize("estimator", LINEAR.values(), ids=LINEAR)
def test_linear_relevance_is_the_terms_of_the_score(estimator):
    estimator.fit(DATA, TWO)
    relevance = linear_svm(estimator, POINTS, target=1)
    assert np.array_equal(
        relevance, [[w * v for w, v in zip(estimator.coef_[0], row)] for row in POINTS]
    )
    assert np.allclose(
        relevance.sum(1), estimator.decision_function(POINTS) - estimator.intercept_, rtol=1e-10
    )
    assert np.array_equal(linear_svm(estimator, POINTS, target=0), -relevance)
    predicted = estimator.predict(POINTS)
    assert np.array_equal(
        linear_svm(estimator, POINTS), np.where(predicted[:, None] == 1, relevance, -relevance)
    )


@pytest.mark.parametrize("name", ["LinearSVC", "LogisticRegression"])
def test_linear_relevance_of_several_classes(name):
    estimator = LINEAR[name].fit(DATA, THREE)
    scores = estimator.decision_function(POINTS)
    for target in (0, 1, 2, None, torch.arange(12) % 3, np.arange(12) % 3):
        chosen = scores.argmax(1) if target is None else np.broadcast_to(np.asarray(target), 12)
        relevance = linear_svm(estimator, POINTS, target)
        assert np.allclose(
            relevance.sum(1),
            scores[np.arange(12), chosen] - estimator.intercept_[chosen],
            rtol=1e-10,
        )
    assert np.array_equal(
        linear_svm(estimator, POINTS),
        linear_svm(
            estimator, POINTS, np.searchsorted(estimator.classes_, estimator.predict(POINTS))
        ),
    )


TEXTS = [
    "a good good film",
    "a bad film",
    "not good but not bad",
    "bad bad plot",
    "good plot",
    "a film",
]


@pytest.mark.parametrize(
    "estimator",
    [LinearSVC(), LogisticRegression(), SVC(kernel="linear")],
    ids=["LinearSVC", "LogisticRegression", "SVC"],
)
def test_words_of_a_bag_stay_sparse(estimator):
    words = CountVectorizer().fit(TEXTS)
    counts = words.transform(TEXTS)
    estimator.fit(counts, [1, 0, 1, 0, 1, 1])
    relevance = linear_svm(estimator, counts, target=1)
    assert (
        relevance.format == counts.format
        and relevance.shape == counts.shape
        and relevance.dtype == np.float64
    )
    assert ((relevance != 0).toarray() <= (counts != 0).toarray()).all()
    assert np.allclose(
        relevance.toarray(), linear_svm(estimator, counts.toarray(), target=1), rtol=1e-12
    )
    assert np.allclose(
        np.asarray(relevance.sum(1)).ravel(),
        estimator.decision_function(counts) - estimator.intercept_,
        rtol=1e-8,
        atol=1e-10,
    )
    assert relevance[0, words.vocabulary_["good"]] > 0 > relevance[1, words.vocabulary_["bad"]]
    assert linear_svm(estimator, counts.tocsc(), target=1).format == "csc"


# The one-class machine.

GAMMAS = pytest.mark.parametrize("gamma", [0.05, 0.5, 4.0, "scale"])


def one_class_by_loops(estimator, x):
    alpha = [a / estimator.dual_coef_.sum() for a in estimator.dual_coef_[0]]
    gamma, vectors = estimator._gamma, estimator.support_vectors_
    distances = [sum((p - q) ** 2 for p, q in zip(x, u)) for u in vectors]
    terms = [a * math.exp(-gamma * d) for a, d in zip(alpha, distances)]
    score = -math.log(sum(terms)) / gamma
    relevance = [
        sum(
            (x[i] - u[i]) ** 2 / d * t / sum(terms) * score
            for u, d, t in zip(vectors, distances, terms)
            if d
        )
        for i in range(len(x))
    ]
    left = sum(t / sum(terms) * math.log(t / sum(terms) / a) for t, a in zip(terms, alpha)) / gamma
    return relevance, score, left, sum(t / sum(terms) * d for t, d in zip(terms, distances))


@GAMMAS
@pytest.mark.parametrize("nu", [0.1, 0.7])
def test_one_class_relevance_equals_plain_loops_and_sums_to_the_outlier_score(gamma, nu):
    estimator = OneClassSVM(gamma=gamma, nu=nu).fit(DATA)
    relevance, scores = one_class_svm(estimator, POINTS), neuralized_score(estimator, POINTS)
    for x, r, o in zip(POINTS, relevance, scores):
        expected, score, coefficients, distances = one_class_by_loops(estimator, x)
        assert np.allclose(r, expected, rtol=1e-9) and o == pytest.approx(score, rel=1e-9)
        assert r.sum() == pytest.approx(o, rel=1e-9) and r.min() >= 0
        # the two parts of a soft minimum
        assert score == pytest.approx(distances + coefficients, rel=1e-9) and coefficients >= 0


@GAMMAS
def test_the_outlier_score_orders_points_as_the_decision_function_does(gamma):
    estimator = OneClassSVM(gamma=gamma, nu=0.3).fit(DATA)
    o, f = neuralized_score(estimator, POINTS), estimator.score_samples(POINTS)
    assert np.allclose(np.exp(-estimator._gamma * o), f / estimator.dual_coef_.sum(), rtol=1e-9)
    threshold = -math.log(estimator.offset_[0] / estimator.dual_coef_.sum()) / estimator._gamma
    assert np.array_equal(o > threshold, estimator.predict(POINTS) == -1)


def test_the_feature_that_makes_the_outlier_gets_the_relevance():
    estimator = OneClassSVM(gamma=0.2, nu=0.1).fit(DATA)
    outlier = DATA[:5].copy()
    outlier[:, 3] += 8
    relevance = one_class_svm(estimator, outlier)
    assert (relevance[:, 3] > 0.7 * relevance.sum(1)).all()


def test_far_away_the_score_is_finite_where_the_kernel_is_zero():
    estimator = OneClassSVM(gamma=2.0).fit(DATA)
    x = np.full((1, 5), 100.0)
    assert estimator.score_samples(x) == 0 and neuralized_score(estimator, x) > 4e4
    assert one_class_svm(estimator, x).sum() == pytest.approx(neuralized_score(estimator, x)[0])


def test_a_point_that_is_a_support_vector_keeps_that_vectors_share():
    estimator = OneClassSVM(gamma=1.0, nu=0.2).fit(DATA)
    x = estimator.support_vectors_[:4]
    relevance, o = one_class_svm(estimator, x), neuralized_score(estimator, x)
    assert np.isfinite(relevance).all() and (relevance.sum(1) < o).all()
    terms = np.exp(-((x[:, None] - estimator.support_vectors_) ** 2).sum(2)) * estimator.dual_coef_
    own = terms[np.arange(4), np.arange(4)] / terms.sum(1)
    assert np.allclose(relevance.sum(1), o * (1 - own))


# The machine of two classes.


def kernel_by_loops(estimator, x):
    gamma, b = estimator._gamma, estimator.intercept_[0]
    sides = {}
    for sign in (1, -1):
        pairs = [
            (abs(a), u)
            for a, u in zip(estimator.dual_coef_[0], estimator.support_vectors_)
            if a * sign > 0
        ]
        pairs += [(abs(b), x)] if b * sign > 0 else []
        distances = [sum((p - q) ** 2 for p, q in zip(x, u)) for _, u in pairs]
        terms = [a * math.exp(-gamma * d) for (a, _), d in zip(pairs, distances)]
        p = [t / sum(terms) for t in terms]
        squares = [
            sum(w * (x[i] - u[i]) ** 2 for w, (_, u) in zip(p, pairs)) for i in range(len(x))
        ]
        kept = sum(w * math.log(w / a) for w, (a, _) in zip(p, pairs) if w) / gamma
        sides[sign] = squares, -math.log(sum(terms)) / gamma, kept
    relevance = [q - p for p, q in zip(sides[1][0], sides[-1][0])]
    return relevance, sides[-1][1] - sides[1][1], sides[-1][2] - sides[1][2]


@GAMMAS
@pytest.mark.parametrize("flip", [False, True], ids=["as is", "classes exchanged"])
def test_kernel_relevance_equals_plain_loops_and_accounts_for_the_score(gamma, flip):
    estimator = SVC(gamma=gamma, C=2.0).fit(DATA, 1 - TWO if flip else TWO)
    relevance, scores = kernel_svm(estimator, POINTS, target=1), neuralized_score(estimator, POINTS)
    for x, r, g in zip(POINTS, relevance, scores):
        expected, score, coefficients = kernel_by_loops(estimator, x)
        assert np.allclose(r, expected, rtol=1e-8, atol=1e-10) and g == pytest.approx(
            score, rel=1e-9
        )
        assert r.sum() + coefficients == pytest.approx(score, rel=1e-9, abs=1e-9)
    assert np.array_equal(scores > 0, estimator.decision_function(POINTS) > 0)
    predicted = estimator.predict(POINTS)
    assert np.array_equal(
        kernel_svm(estimator, POINTS), np.where(predicted[:, None] == 1, relevance, -relevance)
    )
    assert np.array_equal(kernel_svm(estimator, POINTS, 0), -relevance)


def test_the_feature_that_decides_gets_the_relevance():
    x = RNG.normal(size=(200, 4))
    x[:, 2] += 4 * np.repeat([0, 1], 100)
    estimator = SVC(gamma=0.1).fit(x, np.repeat([0, 1], 100))
    relevance = kernel_svm(estimator, x, target=1)
    assert (np.abs(relevance).argmax(1) == 2).mean() > 0.9
    assert ((relevance[:, 2] > 0) == (np.arange(200) >= 100)).mean() > 0.9


# What all of them share.

METHODS = {
    "linear": (linear_svm, LinearSVC().fit(DATA, TWO)),
    "one class": (one_class_svm, OneClassSVM().fit(DATA)),
    "kernel": (kernel_svm, SVC().fit(DATA, TWO)),
}
ALL_METHODS = pytest.mark.parametrize(("method", "estimator"), METHODS.values(), ids=METHODS)


@ALL_METHODS
def test_the_result_is_like_x(method, estimator):
    expected = method(estimator, POINTS)
    assert isinstance(expected, np.ndarray) and expected.dtype == np.float64
    for dtype in (torch.float64, torch.float32):
        x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
        relevance = method(estimator, x)
        assert (
            relevance.dtype == dtype and relevance.shape == x.shape and not relevance.requires_grad
        )
        assert np.allclose(relevance, expected, rtol=1e-4, atol=1e-4)
    assert method(estimator, POINTS.astype(np.float32)).dtype == np.float32
    assert method(estimator, POINTS.round().astype(int)).dtype == np.float64


@ALL_METHODS
def test_a_row_of_a_batch_is_explained_as_if_alone_and_nothing_is_changed(method, estimator):
    x, before = (
        POINTS.copy(),
        {
            name: np.copy(value)
            for name, value in vars(estimator).items()
            if isinstance(value, np.ndarray)
        },
    )
    together = method(estimator, x)
    for row in range(len(x)):
        assert np.allclose(method(estimator, x[row : row + 1])[0], together[row], rtol=1e-12)
    assert np.array_equal(x, POINTS) and all(
        np.array_equal(vars(estimator)[name], value) for name, value in before.items()
    )


@pytest.mark.parametrize(("method", "estimator"), list(METHODS.values())[1:], ids=list(METHODS)[1:])
def test_kernel_machines_do_not_see_where_the_origin_is(method, estimator):
    """Unlike x w, which depends on it: distances alone count."""
    shifted = (
        OneClassSVM(gamma=estimator._gamma)
        if method is one_class_svm
        else SVC(gamma=estimator._gamma)
    ).fit(DATA + 3, TWO)
    assert np.allclose(method(shifted, POINTS + 3), method(estimator, POINTS), rtol=1e-2, atol=1e-2)


@ALL_METHODS
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (POINTS[:, :4], ValueError, r"x: expected shape \(N, 5\) .* got \(12, 4\)"),
        (POINTS[0], ValueError, r"x: expected shape .* got \(5,\)"),
        (POINTS[:0], ValueError, "x: expected shape .* N >= 1"),
        (POINTS * np.nan, ValueError, "x: expected finite values"),
        (POINTS.tolist(), TypeError, "x: expected an array or a tensor.* got list"),
    ],
    ids=["columns", "vector", "empty", "nan", "list"],
)
def test_a_bad_x_is_refused(method, estimator, x, error, message):
    with pytest.raises(error, match=message):
        method(estimator, x)


@pytest.mark.parametrize(
    ("method", "estimator", "error", "message"),
    [
        (linear_svm, LinearSVC(), NotFittedError, "not fitted"),
        (one_class_svm, OneClassSVM(), NotFittedError, "not fitted"),
        (kernel_svm, SVC(), NotFittedError, "not fitted"),
        (neuralized_score, SVC(), NotFittedError, "not fitted"),
        (
            linear_svm,
            SVC(),
            TypeError,
            r"estimator: expected a linear classifier such as LinearSVC, got SVC\(\)",
        ),
        (linear_svm, Ridge(), TypeError, "estimator: expected a linear classifier"),
        (linear_svm, OneClassSVM(kernel="linear"), TypeError, "linear classifier"),
        (
            linear_svm,
            torch.nn.Linear(5, 2),
            TypeError,
            "estimator: expected a scikit-learn estimator, got Linear",
        ),
        (one_class_svm, LinearSVC, TypeError, "estimator: expected a scikit-learn estimator"),
        (
            one_class_svm,
            OneClassSVM(kernel="poly"),
            ValueError,
            "estimator: expected the kernel 'rbf', got 'poly'",
        ),
        (
            kernel_svm,
            SVC(kernel="linear"),
            ValueError,
            "estimator: expected the kernel 'rbf', got 'linear'",
        ),
        (one_class_svm, SVC(), TypeError, r"estimator: expected OneClassSVM, got SVC\(\)"),
        (kernel_svm, OneClassSVM(), TypeError, "estimator: expected SVC, got OneClassSVM"),
        (
            neuralized_score,
            LinearSVC(),
            TypeError,
            "estimator: expected OneClassSVM or SVC, got LinearSVC",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_a_bad_estimator_is_refused(method, estimator, error, message):
    if (
        error is not NotFittedError
        and hasattr(estimator, "fit")
        and not isinstance(estimator, type)
    ):
        estimator.fit(DATA, TWO)
    with pytest.raises(error, match=message):
        method(estimator, POINTS)


@pytest.mark.parametrize(("method", "kernel"), [(linear_svm, "linear"), (kernel_svm, "rbf")])
def test_a_machine_of_pairs_of_classes_is_refused(method, kernel):
    with pytest.raises(ValueError, match="estimator: expected .*pairs of classes"):
        method(SVC(kernel=kernel).fit(DATA, THREE), POINTS)


@pytest.mark.parametrize("target", [2, -1, 1.0, "yes", [0] * 12])
@pytest.mark.parametrize("name", ["linear", "kernel"])
def test_a_bad_target_is_refused(name, target):
    method, estimator = METHODS[name]
    with pytest.raises((TypeError, ValueError), match="target: expected"):
        method(estimator, POINTS, target)


def test_kernel_machines_take_no_sparse_matrix():
    counts = CountVectorizer().fit_transform(TEXTS)
    with pytest.raises(TypeError, match="x: expected an array or a tensor, got csr"):
        one_class_svm(OneClassSVM().fit(counts), counts)
    # fitted on sparse rows
    assert one_class_svm(OneClassSVM().fit(counts), counts.toarray() + 0.5).shape == counts.shape
