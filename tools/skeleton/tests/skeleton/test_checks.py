"""The checks of the chapter: add a row to a table for another right or wrong answer."""

from students import accept_and_refuse, spoil


def skeleton_share(a):
    return a / a.sum()


RIGHT = {"skeleton_share": [skeleton_share, lambda a: a * a.sum() ** -1]}
WRONG = {
    "skeleton_share": [
        (lambda a: a, "sum to 1"),
        (lambda a: a / a.mean(), "mean"),
        *spoil(
            skeleton_share, "batch summed", "batch averaged", "absolute", "clipped", "normalised"
        ),
    ]
}
test_right_answers_are_accepted, test_wrong_answers_are_refused = accept_and_refuse(RIGHT, WRONG)
