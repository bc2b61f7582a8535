"""Models that are their own explanation: a decision tree, grown from a table of words, and read as
if-then rules.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, str]
Tree = str | dict[str, dict[str, "Tree"]]


def grow_tree(rows: Sequence[Row], answer: str) -> Tree:
    """The decision tree of a table, by the greatest gain of information at each question (Quinlan,
    1986, ID3).

    rows: one mapping column -> word for each case.
    answer: the column to tell.

    A tree is the answer itself, or {column: {word: tree, ...}}. Where columns cannot tell cases
    apart, the commonest answer is given; of equals the first.
    Raises ValueError if there are no rows, or rows that lack a column.

    >>> grow_tree([{"wet": "yes", "play": "no"}, {"wet": "no", "play": "yes"}], "play")
    {'wet': {'yes': 'no', 'no': 'yes'}}
    """
    if not rows or any(row.keys() != rows[0].keys() for row in rows) or answer not in rows[0]:
        raise ValueError(
            f"rows: expected at least one row, each with the same columns and with {answer!r}"
        )
    answers = Counter(row[answer] for row in rows)
    columns = [column for column in rows[0] if column != answer]
    if len(answers) == 1 or not columns:
        return answers.most_common(1)[0][0]
    column = min(columns, key=lambda column: _left_to_ask(rows, column, answer))
    branches = {
        word: grow_tree([{k: v for k, v in row.items() if k != column} for row in group], answer)
        for word, group in _groups(rows, column).items()
    }
    return {column: branches} if len(branches) > 1 else branches[rows[0][column]]


def tree_rules(
    tree: Any, features: Sequence[str] | None = None, classes: Sequence[str] | None = None
) -> list[str]:
    """One if-then rule for each leaf of a decision tree, from left to right.

    tree: what `grow_tree` returns, or a fitted DecisionTreeClassifier of scikit-learn.
    features, classes: the names of scikit-learn's columns and classes; None: x0, x1, ... and what
        the tree was fitted to.

    Of several limits on one column the tightest is kept.
    Raises TypeError for another kind of tree, ValueError for a wrong number of names.

    >>> tree = {"wind": {"weak": "yes", "strong": {"wet": {"yes": "no", "no": "yes"}}}}
    >>> for rule in tree_rules(tree):
    ...     print(rule)
    if wind is weak then yes
    if wind is strong and wet is yes then no
    if wind is strong and wet is no then yes
    """
    if isinstance(tree, (str, dict)):
        return [
            _rule([f"{column} is {word}" for column, word in path], leaf)
            for path, leaf in _leaves(tree)
        ]
    if not hasattr(tree, "tree_") or not hasattr(tree, "classes_"):
        raise TypeError(
            f"tree: expected a tree of grow_tree or a fitted DecisionTreeClassifier, got "
            f"{type(tree).__name__}"
        )
    inner = tree.tree_
    features = [f"x{k}" for k in range(inner.n_features)] if features is None else list(features)
    classes = [str(c) for c in tree.classes_] if classes is None else list(classes)
    for name, names, count in (
        ("features", features, inner.n_features),
        ("classes", classes, len(tree.classes_)),
    ):
        if len(names) != count:
            raise ValueError(f"{name}: expected {count} names, got {len(names)}")

    def walk(node: int, limits: dict[tuple[int, str], float]) -> list[str]:
        if inner.children_left[node] < 0:
            conditions = [
                f"{features[column]} {sign} {limit:.4g}" for (column, sign), limit in limits.items()
            ]
            return [_rule(conditions, classes[inner.value[node][0].argmax()])]
        column, limit = inner.feature[node], float(inner.threshold[node])
        low, high = (column, "<="), (column, ">")  # deeper limits on the same column are tighter
        return walk(inner.children_left[node], {**limits, low: limit}) + walk(
            inner.children_right[node], {**limits, high: limit}
        )

    return walk(0, {})


def _rule(conditions: Sequence[str], answer: str) -> str:
    return f"if {' and '.join(conditions)} then {answer}" if conditions else f"always {answer}"


def _leaves(tree: Tree) -> list[tuple[list[tuple[str, str]], str]]:
    """Each leaf with the answers that lead to it."""
    if isinstance(tree, str):
        return [([], tree)]
    ((column, branches),) = tree.items()
    return [
        ([(column, word), *path], leaf)
        for word, branch in branches.items()
        for path, leaf in _leaves(branch)
    ]


def _groups(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _left_to_ask(rows: Sequence[Row], column: str, answer: str) -> float:
    """Bits that the answer still has, on average, once the column is known."""
    return sum(
        len(group) / len(rows) * _entropy(Counter(row[answer] for row in group))
        for group in _groups(rows, column).values()
    )


def _entropy(counts: Counter) -> float:
    total = sum(counts.values())
    return -sum(n / total * math.log2(n / total) for n in counts.values())
