"""Real handwriting that comes with scikit-learn, generated scenes whose truth is known, and real
sets that are downloaded on request.
"""

from .explained import ExplainedPhotos, explained_photos
from .generated import (
    SCENE_CLASSES,
    VOCABULARY,
    Reviews,
    Scenes,
    Split,
    digits,
    fisher_and_deep,
    measured,
    methods,
    mnist,
    play_tennis,
    reviews,
    scenes,
)
from .real import (
    LabelErrors,
    Photo,
    Texts,
    adult,
    compas,
    human_labels,
    label_errors,
    newsgroups,
    photos,
    sentence_polarity,
    word_embeddings,
    word_lists,
)

__all__ = [
    "Split",
    "digits",
    "mnist",
    "SCENE_CLASSES",
    "Scenes",
    "scenes",
    "play_tennis",
    "fisher_and_deep",
    "methods",
    "measured",
    "VOCABULARY",
    "Reviews",
    "reviews",
    "Texts",
    "newsgroups",
    "sentence_polarity",
    "compas",
    "adult",
    "word_embeddings",
    "word_lists",
    "Photo",
    "photos",
    "ExplainedPhotos",
    "explained_photos",
    "LabelErrors",
    "label_errors",
    "human_labels",
]
