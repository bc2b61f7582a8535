"""Byte-pair encoding: how a tokenizer is learnt from text, and what a sentence costs under it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[bytes, bytes]
# a word with the space before it: no token reaches over the edge of a word
WORD = re.compile(r"\s?\S+|\s")


def count_words(texts: Iterable[str], weight: float = 1.0) -> Counter[str]:
    """Words, each with the space before it, and how often they occur, times `weight`: counters add
    up to a mixture of texts.

    >>> count_words(["so it is", "it was"])[" it"], count_words(["so it is"], weight=2.0)["so"]
    (1.0, 2.0)
    """
    counts: Counter[str] = Counter()
    for word in (word for text in texts for word in WORD.findall(text)):
        counts[word] += weight  # type: ignore[assignment]  # typeshed's Counter only counts in int
    return counts


def train_bpe(counts: Mapping[str, float], merges: int) -> list[Pair]:
    """Take the most frequent pair of neighbours and make it one token, `merges` times (Sennrich et
    al., 2016, algorithm 1, on bytes).

    counts: words, and how often each occurs.

    Equally frequent pairs are taken in the order of their bytes. Ends sooner if no pair is left.
    Raises ValueError if merges is negative or a count is not positive.

    >>> train_bpe({"abab": 2, "b": 1}, merges=2)
    [(b'a', b'b'), (b'ab', b'ab')]
    """
    if merges < 0 or not all(count > 0 for count in counts.values()):
        raise ValueError(
            f"merges, counts: expected merges >= 0 and positive counts, got {merges} and "
            f"{min(counts.values(), default=0)}"
        )
    tokens = {word: split_bytes(word) for word in counts}
    total: dict[Pair, float] = defaultdict(float)
    # only these words change when the pair is merged
    where: dict[Pair, set[str]] = defaultdict(set)

    def enter(word: str, sign: int) -> None:
        for pair in zip(tokens[word], tokens[word][1:]):
            total[pair] += sign * counts[word]
            where[pair].add(word)

    for word in tokens:
        enter(word, 1)
    learnt: list[Pair] = []
    while (
        len(learnt) < merges
        and (best := min(total, key=lambda pair: (-round(total[pair], 6), pair), default=None))
        and total[best] > 1e-6
    ):
        learnt.append(best)
        for word in where.pop(best):
            enter(word, -1)
            tokens[word] = merge(tokens[word], best)
            enter(word, 1)
    return learnt


def merge(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """The tokens with each occurrence of the pair, from left to right, made one token.

    >>> merge([b"a", b"a", b"a", b"b"], (b"a", b"a"))
    [b'aa', b'a', b'b']
    """
    done: list[bytes] = []
    for token in tokens:
        if done and (done[-1], token) == pair:
            # an empty token stops a merge of what has just been merged
            done[-1:] = [b"".join(pair), b""]
        else:
            done.append(token)
    return [token for token in done if token]


def encode(text: str, pairs: Sequence[Pair]) -> list[bytes]:
    """The tokens of a text: its UTF-8 bytes, joined by the learnt pairs, the first learnt first.
    Joined they are the text's bytes again.

    >>> encode("abba", [(b"a", b"b")])
    [b'ab', b'b', b'a']
    """
    rank, tokens = {pair: k for k, pair in enumerate(pairs)}, []
    for word in WORD.findall(text):
        parts = split_bytes(word)
        while found := [rank[pair] for pair in zip(parts, parts[1:]) if pair in rank]:
            parts = merge(parts, pairs[min(found)])
        tokens += parts
    return tokens


def split_bytes(text: str) -> list[bytes]:
    """The UTF-8 bytes of a text, each as a token of its own.

    >>> split_bytes("é!")
    [b'Ã', b'©', b'!']
    """
    return [bytes([byte]) for byte in text.encode()]


def tokens_per_sentence(
    sentences: Mapping[str, Sequence[str]], pairs: Sequence[Pair] = ()
) -> dict[str, float]:
    """The mean number of tokens of a sentence, by language, under the learnt pairs; without pairs
    the number of UTF-8 bytes.

    Raises ValueError if a language has no sentence.

    >>> tokens_per_sentence({"English": ["tea"], "Greek": ["τσάι"]})
    {'English': 3.0, 'Greek': 8.0}
    """
    if empty := [language for language, texts in sentences.items() if not texts]:
        raise ValueError(f"sentences: expected at least one in each language, got none in {empty}")
    return {
        language: sum(len(encode(text, pairs)) for text in texts) / len(texts)
        for language, texts in sentences.items()
    }
