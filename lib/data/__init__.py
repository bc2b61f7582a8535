"""Real handwriting that comes with scikit-learn, generated scenes whose truth is known, and real sets that are downloaded on request."""

from .generated import Split, digits, mnist, SCENE_CLASSES, Scenes, scenes, play_tennis, fisher_and_deep, methods, measured, VOCABULARY, Reviews, reviews
from .real import Texts, newsgroups, sentence_polarity, compas, adult, word_embeddings, word_lists, Photo, photos, LabelErrors, label_errors, human_labels

__all__ = ["Split", "digits", "mnist", "SCENE_CLASSES", "Scenes", "scenes", "play_tennis", "fisher_and_deep", "methods", "measured", "VOCABULARY", "Reviews", "reviews", "Texts", "newsgroups", "sentence_polarity", "compas", "adult", "word_embeddings", "word_lists", "Photo", "photos", "LabelErrors", "label_errors", "human_labels"]
