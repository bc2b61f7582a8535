"""The few networks of the book and the weights that come with it, and networks that others trained
and published.
"""

from .networks import (
    ARCHITECTURES,
    WEIGHTS,
    BagOfWords,
    MoleculeNetwork,
    QuestionNetwork,
    ReviewAttention,
    ReviewCNN,
    ReviewLSTM,
    SceneWords,
    cnn,
    game_network,
    gap_cnn,
    lenet,
    mlp,
    mnist_cnn,
    pretrained,
    published_vgg16,
    scene_cnn,
    seeded,
    signal_cnn,
    vgg16,
    with_weights,
)
from .pictures import AgeNetwork, EfficientNetLite, GenderNetwork, Preparation
from .published import PUBLISHED, imagenet_classes
from .sentences import SentenceEncoder, SentenceScores
from .sounds import PitchNetwork

__all__ = [
    "WEIGHTS",
    "mlp",
    "cnn",
    "lenet",
    "gap_cnn",
    "vgg16",
    "published_vgg16",
    "ReviewLSTM",
    "ReviewCNN",
    "ReviewAttention",
    "SceneWords",
    "scene_cnn",
    "BagOfWords",
    "signal_cnn",
    "MoleculeNetwork",
    "QuestionNetwork",
    "game_network",
    "ARCHITECTURES",
    "PUBLISHED",
    "pretrained",
    "with_weights",
    "mnist_cnn",
    "Preparation",
    "EfficientNetLite",
    "imagenet_classes",
    "AgeNetwork",
    "GenderNetwork",
    "SentenceEncoder",
    "SentenceScores",
    "PitchNetwork",
    "seeded",
]
