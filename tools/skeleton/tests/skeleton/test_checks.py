"""The checks of the chapter: see `students.judged` for what a row is."""

from students import judged, spoilt

# Changes that leave shares of one vector of positive numbers as they are, or need a batch.
HARMLESS = ["batch summed", "batch averaged", "absolute", "clipped", "normalised"]

ANSWERS = {
    "skeleton_share": [
        lambda a: a * a.sum() ** -1,
        ("a", "sum to 1"),
        ("a / a.mean()", "mean"),
        *spoilt("skeleton_share", *HARMLESS),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
