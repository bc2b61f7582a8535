"""The few networks of the book, and the weights that come with it."""

from .networks import WEIGHTS, mlp, cnn, lenet, gap_cnn, vgg16, published_vgg16, ReviewLSTM, ReviewCNN, ReviewAttention, SceneWords, scene_cnn, BagOfWords, signal_cnn, MoleculeNetwork, QuestionNetwork, game_network, ARCHITECTURES, pretrained, with_weights, mnist_cnn, seeded

__all__ = ["WEIGHTS", "mlp", "cnn", "lenet", "gap_cnn", "vgg16", "published_vgg16", "ReviewLSTM", "ReviewCNN", "ReviewAttention", "SceneWords", "scene_cnn", "BagOfWords", "signal_cnn", "MoleculeNetwork", "QuestionNetwork", "game_network", "ARCHITECTURES", "pretrained", "with_weights", "mnist_cnn", "seeded"]
