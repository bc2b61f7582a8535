"""The few networks of the book, and the weights that come with it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.generated import VOCABULARY
from .published import PUBLISHED

#: The folder of the committed weights.
WEIGHTS = Path(__file__).parents[1] / "weights"


def mlp(
    inputs: int = 64,
    hidden: Sequence[int] = (64, 32),
    classes: int = 10,
    bias: bool = True,
    seed: int = 0,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Flatten, then dense layers with ReLU between them: images (N, ...) to logits (N, classes).

    inputs: the number of values of an image.
    hidden: the neurons of each hidden layer.
    dropout: the probability of nn.Dropout after each ReLU; 0: no such layer.
    seed: of the weights; the global random state is left as it was.

    >>> mlp(4, (8,), classes=3)(torch.zeros(2, 2, 2)).shape
    torch.Size([2, 3])
    """
    sizes = [inputs, *hidden, classes]
    with seeded(seed):
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in zip(sizes, sizes[1:]):
            layers += [nn.Linear(before, after, bias=bias), nn.ReLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers[: -2 if dropout else -1])


def cnn(
    channels: int = 1,
    size: int = 8,
    classes: int = 10,
    width: int = 16,
    bias: bool = True,
    seed: int = 0,
) -> nn.Sequential:
    """Three 3 x 3 convolutions with ReLU and two poolings: images (N, channels, size, size) to
    logits (N, classes).

    width: the channels of the first convolution; the others have twice as many.

    >>> cnn(channels=3, size=32, classes=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4])
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (size // 4) ** 2, classes, bias=bias),
        )


def lenet(hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """Two 5 x 5 convolutions and two dense layers, after LeCun et al. (1998): images (N, 1, 28, 28)
    to logits (N, 10).

    >>> lenet()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 49, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )


def gap_cnn(channels: int = 3, classes: int = 4, width: int = 16, seed: int = 0) -> nn.Sequential:
    """Four 3 x 3 convolutions, global average pooling and one dense layer: images (N, channels, H,
    W) to logits (N, classes).

    >>> gap_cnn()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4])
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, classes),
        )


def vgg16(classes: int = 1000, seed: int = 0) -> nn.Sequential:
    """A network of VGG16's shape (Simonyan and Zisserman, 2014) with random weights: (N, 3, 224,
    224) to logits (N, classes).

    >>> with torch.device("meta"):  # its shape alone, without 528 MB of weights
    ...     network = vgg16(classes=20)
    >>> sum(p.numel() for p in network.parameters())
    134342484
    """
    with seeded(seed):
        layers: list[nn.Module] = []
        channels = 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                layers += [nn.MaxPool2d(2)]
        layers += [
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(),
        ]
        return nn.Sequential(*layers, nn.Linear(4096, classes))


# 528 MB; the end of the name is the start of its sha256
VGG16 = "https://download.pytorch.org/models/vgg16-397923af.pth"


def published_vgg16(download: bool = False) -> nn.Sequential:
    """`vgg16()` with the weights that torchvision publishes, trained on ImageNet: (N, 3, 224, 224)
    to 1,000 logits.

    An image in [0, 1] must be given less (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225),
    channel by channel.

    download: fetch the file (528 MB) with a progress bar, and verify it by the part of its hash in
        its name; otherwise it is only looked for in torch's cache.
    Raises OSError that says where the file is expected.

    >>> published_vgg16(download=True)(torch.zeros(1, 3, 224, 224)).shape  # doctest: +SKIP
    torch.Size([1, 1000])
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    place = folder / VGG16.rpartition("/")[2]
    if download and not place.exists():
        torch.hub.load_state_dict_from_url(VGG16, str(folder), map_location="cpu", check_hash=True)
    if not place.exists():
        raise OSError(
            f"download: the weights of VGG16 are not at {place}; call "
            f"published_vgg16(download=True), which fetches 528 MB from {VGG16}, or put the file "
            f"there"
        )
    model, published = vgg16(), torch.load(place, map_location="cpu", weights_only=True)
    # the same layers in the same order
    model.load_state_dict(dict(zip(model.state_dict(), published.values(), strict=True)))
    return model.eval()


class ReviewLSTM(nn.Module):
    """Word numbers (N, T) to two logits, by the last state of an LSTM (Hochreiter and Schmidhuber,
    1997).

    >>> ReviewLSTM(vocabulary=40)(torch.ones(2, 24, dtype=torch.long)).shape
    torch.Size([2, 2])
    """

    def __init__(self, vocabulary: int, width: int = 16, states: int = 24) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, states, batch_first=True)
        self.head = nn.Linear(states, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(words))[0][:, -1])


class ReviewCNN(nn.Module):
    """Word numbers (N, T) to two logits: windows of three words, the strongest place of each
    filter, a dense layer (Kim, 2014).

    >>> ReviewCNN(vocabulary=40)(torch.ones(2, 24, dtype=torch.long)).shape
    torch.Size([2, 2])
    """

    def __init__(self, vocabulary: int, width: int = 16, filters: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.convolution = nn.Conv1d(width, filters, 3, padding=1)
        self.head = nn.Linear(filters, 2)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.convolution(self.words(words).transpose(1, 2)).relu().amax(2))


class ReviewAttention(nn.Module):
    """Word numbers (N, T) to two logits: a state for each word, and attention that says how much of
    each is read (Bahdanau et al., 2015).

    context: with it the states come from a GRU that reads in both directions, so that each knows of
        its neighbours; without it a state is its word alone.

    `attention(words)` gives the weights (N, T), and `forward` can be given others.

    >>> ReviewAttention(vocabulary=40).attention(torch.tensor([[0, 5, 7]])).shape
    torch.Size([1, 3])
    """

    def __init__(self, vocabulary: int, width: int = 16, context: bool = True) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.context = (
            nn.GRU(width, width // 2, batch_first=True, bidirectional=True) if context else None
        )
        self.look = nn.Linear(width, 1)
        self.head = nn.Linear(width, 2)

    def states(self, words: Tensor) -> Tensor:
        """What is known of each word: (N, T) to (N, T, width)."""
        h = self.words(words)
        return h if self.context is None else self.context(h)[0]

    def attention(self, words: Tensor) -> Tensor:
        """How much of each word is read: (N, T) to weights (N, T) that sum to 1, 0 for padding."""
        logits = self.look(self.states(words))[:, :, 0]
        return logits.masked_fill(words == 0, float("-inf")).softmax(1)

    def forward(self, words: Tensor, attention: Tensor | None = None) -> Tensor:
        attention = self.attention(words) if attention is None else attention
        return self.head((attention[:, :, None] * self.states(words)).sum(1))


class SceneWords(nn.Module):
    """Images (N, 3, 32, 32) to two words, the object and the ground: logits (N, 4, 2), four words
    to choose from for each.

    Each word asks one question of 8 x 8 places; `attention(x)` gives the weights (N, 2, 8, 8).

    >>> SceneWords()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4, 2])
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.places = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.questions = nn.Linear(width, 2, bias=False)
        self.answers = nn.Linear(width, 8)

    def attention(self, x: Tensor) -> Tensor:
        """How much of each place is read for each word: (N, 3, 32, 32) to (N, 2, 8, 8)."""
        return self._weights(self.places(x).flatten(2)).unflatten(2, (8, 8))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.places(x).flatten(2)  # (N, width, 64)
        read = self._weights(seen) @ seen.transpose(1, 2)  # (N, 2, width)
        answers = self.answers(read).unflatten(2, (2, 4))
        return torch.stack([answers[:, word, word] for word in (0, 1)], 2)

    def _weights(self, seen: Tensor) -> Tensor:
        return self.questions(seen.transpose(1, 2)).transpose(1, 2).softmax(2)


def scene_cnn(depth: int, width: int = 16, classes: int = 4, seed: int = 0) -> nn.Sequential:
    """`depth` 3 x 3 convolutions, an even number: images (N, 3, 32, 32) to logits (N, classes).
    Only the depth differs, not the rest.

    >>> scene_cnn(depth=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 4])
    """
    with seeded(seed):
        layers: list[nn.Module] = []
        for k in range(depth):
            layers += [nn.Conv2d(width if k else 3, width, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if k + 1 in (depth // 2, depth) else []
        # so that what passes through many layers neither dies out nor grows (He et al., 2015)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * width, classes))


class BagOfWords(nn.Module):
    """Word numbers (N, T) to two logits: each word adds its own two numbers, wherever it stands.

    >>> BagOfWords(vocabulary=40)(torch.tensor([[0, 5, 7]])).shape
    torch.Size([1, 2])
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, 2, padding_idx=0)

    def forward(self, words: Tensor) -> Tensor:
        return self.words(words).sum(1)


def signal_cnn(channels: int, classes: int, width: int = 16, seed: int = 0) -> nn.Sequential:
    """Three convolutions over time and their mean: signals (N, channels, T) to logits (N, classes).

    >>> signal_cnn(channels=4, classes=3)(torch.zeros(2, 4, 96)).shape
    torch.Size([2, 3])
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv1d(channels, width, 9, padding=4),
            nn.ReLU(),
            nn.AvgPool1d(2),
            nn.Conv1d(width, width, 9, padding=4),
            nn.ReLU(),
            nn.AvgPool1d(2),
            nn.Conv1d(width, 2 * width, 9, padding=4),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(2 * width, classes),
        )


class MoleculeNetwork(nn.Module):
    """Graphs (N, A, kinds + A), atoms and bonds as in `lib.applications.molecules`, to two logits.

    Twice each atom adds to what it knows what its neighbours know; the atoms are added. The bonds
    are what relevance flows along: they are compared with 0, so that they are fixed and get none.

    >>> MoleculeNetwork()(torch.zeros(2, 10, 14)).shape
    torch.Size([2, 2])
    """

    def __init__(self, kinds: int = 4, width: int = 24) -> None:
        super().__init__()
        self.kinds = kinds
        self.own = nn.ModuleList([nn.Linear(kinds, width), nn.Linear(width, width)])
        self.near = nn.ModuleList(
            [nn.Linear(kinds, width, bias=False), nn.Linear(width, width, bias=False)]
        )
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        h, bonds = x[..., : self.kinds], (x[..., self.kinds :] > 0).to(x.dtype)
        for own, near in zip(self.own, self.near):
            h = (own(h) + bonds @ near(h)).relu()
        return self.head(h.sum(1))


class QuestionNetwork(nn.Module):
    """A picture and a question in one row (N, 768 + 5 V) as in `lib.applications.questions`, to six
    logits.

    The question is put beside what is seen at each place; what the places answer is added (as in
    Santoro et al., 2017, for single places).

    >>> QuestionNetwork()(torch.zeros(2, 768 + 5 * 14)).shape
    torch.Size([2, 6])
    """

    def __init__(self, vocabulary: int = 14, width: int = 24, answers: int = 6) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.read = nn.Sequential(nn.Linear(5 * vocabulary, width), nn.ReLU())
        self.compare = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, width, 1), nn.ReLU()
        )
        self.answer = nn.Linear(width, answers)

    def forward(self, x: Tensor) -> Tensor:
        seen, asked = self.see(x[:, :768].reshape(-1, 3, 16, 16)), self.read(x[:, 768:])
        asked = asked[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        return self.answer(self.compare(torch.cat([seen, asked], 1)).sum((2, 3)))


def game_network(seed: int = 0) -> nn.Sequential:
    """Boards (N, 2, 12, 12) to a score for each of three actions, as `lib.applications.play` wants
    them.

    >>> game_network()(torch.zeros(2, 2, 12, 12)).shape
    torch.Size([2, 3])
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(288, 32),
            nn.ReLU(),
            nn.Linear(32, 3),
        )


def _seeded(make: Callable[..., nn.Module], seed: int = 0) -> nn.Module:
    with seeded(seed):
        return make(len(VOCABULARY))


#: The names that `pretrained` knows, each with a function that makes the network.
ARCHITECTURES = {
    "digits_mlp": lambda: mlp(64, (64, 32)),
    "digits_cnn": lambda: cnn(1, 8, width=16),
    "digits_cnn_nobias": lambda: cnn(1, 8, width=16, bias=False),
    "scenes_cnn": lambda: cnn(3, 32, classes=4, width=16),
    "scenes_hans": lambda: cnn(3, 32, classes=4, width=16),
    "scenes_honest": lambda: cnn(3, 32, classes=4, width=16),
    "scenes_words": lambda: _seeded(lambda _: SceneWords()),
    "scenes_gap": lambda: gap_cnn(3, 4),
    "reviews_lstm": lambda: _seeded(ReviewLSTM),
    "reviews_cnn": lambda: _seeded(ReviewCNN),
    "reviews_attention": lambda: _seeded(ReviewAttention),
    "reviews_attention_plain": lambda: _seeded(
        lambda vocabulary: ReviewAttention(vocabulary, context=False)
    ),
    "scenes_shallow": lambda: scene_cnn(2),
    "scenes_deep": lambda: scene_cnn(8),
    "scenes_early": lambda: scene_cnn(8),
    "scenes_context": lambda: gap_cnn(3, 4),
    "faces_noisy": lambda: cnn(3, 32, classes=2),
    "tones": lambda: signal_cnn(1, 3),
    "gait": lambda: signal_cnn(4, 4),
    "molecules": lambda: _seeded(lambda _: MoleculeNetwork()),
    "questions": lambda: _seeded(lambda _: QuestionNetwork()),
    "mnist_small": lambda: cnn(1, 28, width=8),
}


def pretrained(name: str) -> nn.Module:
    """A trained network in evaluation mode: one of `ARCHITECTURES` with its committed weights, or
    one of `PUBLISHED`, which others trained.

    Each `lib/weights/NAME.md` says how the weights of the book were made and what they score. Those
    of others are read from the package that ships them and verified: see `EfficientNetLite`,
    `AgeNetwork`, `GenderNetwork`, `SentenceEncoder` and `PitchNetwork`. Raises ValueError for
    another name or a broken file, FileNotFoundError that says what to install.

    >>> pretrained("digits_mlp")(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 10])
    >>> pretrained("efficientnet_lite0")(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 1000])
    """
    if name in PUBLISHED:
        return PUBLISHED[name].load()
    if name not in ARCHITECTURES:
        names = sorted([*ARCHITECTURES, *PUBLISHED])
        raise ValueError(f"name: expected one of {names}, got {name!r}")
    return with_weights(ARCHITECTURES[name](), name)


def with_weights(model: nn.Module, name: str) -> Any:
    """The model with the committed weights lib/weights/NAME.safetensors, in place and in evaluation
    mode.

    Raises RuntimeError if the shapes differ, FileNotFoundError if there are no weights of this
    name.

    >>> with_weights(mlp(64, (64, 32)), "digits_mlp").training
    False
    """
    from safetensors.torch import load_file  # only here: exercises need no weights

    model.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    return model.eval()


def mnist_cnn() -> nn.Sequential:
    """`lenet()` with the committed weights of real 28 x 28 digits; lib/weights/mnist_cnn.md says
    what it scores.

    >>> mnist_cnn()(torch.zeros(1, 1, 28, 28)).shape
    torch.Size([1, 10])
    """
    return with_weights(lenet(), "mnist_cnn")


class seeded:
    """Within the block torch's CPU random state starts at `seed`; afterwards it is as it was
    before.

    >>> with seeded(0):
    ...     first = torch.rand(2)
    >>> with seeded(0):
    ...     again = torch.rand(2)
    >>> torch.equal(first, again)
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()
        torch.manual_seed(self.seed)

    def __exit__(self, *error: object) -> None:
        torch.set_rng_state(self.state)
