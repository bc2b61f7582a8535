"""A language of a few hundred words whose bias is known, and word vectors learned from it."""

from dataclasses import dataclass

import torch
from torch import Tensor

#: Female words.
FEMALE = ("she", "her", "woman", "mother", "daughter", "sister", "aunt", "girl")
#: Male words.
MALE = ("he", "his", "man", "father", "son", "brother", "uncle", "boy")
#: Words of science.
SCIENCE = tuple("physics algebra chemistry geometry astronomy biology logic engines".split())
#: Words of the arts.
ARTS = ("poetry", "dance", "drama", "sculpture", "novels", "music", "painting", "theatre")
#: One hundred invented jobs.
JOBS = tuple(
    a + b + c
    for a in ("ba", "de", "fi", "lo", "mu")
    for b in ("la", "ne", "ri", "to", "vu")
    for c in ("k", "m", "s", "x")
)
FILLERS = tuple(f"f{i}" for i in range(30))  # words that go with everything
# words of two circles of life
SIDES = tuple(tuple(f"{side}{i}" for i in range(30)) for side in "uv")
#: All words of the language, by number.
WORDS = FEMALE + MALE + SCIENCE + ARTS + JOBS + FILLERS + SIDES[0] + SIDES[1]
#: The number of each word.
INDEX = {word: i for i, word in enumerate(WORDS)}


@dataclass(frozen=True, eq=False)
class Corpus:
    """Generated sentences and their bias.

    sentences: (n, 5), word numbers, places in `WORDS`.
    lean: (100,), of each of the `JOBS`, in -1..1; above 0 towards female words.
    """

    sentences: Tensor
    lean: Tensor


def corpus(
    bias: float,
    n: int = 20_000,
    seed: int = 0,
    swapped: bool = False,
    circles: bool = True,
) -> Corpus:
    """n sentences of five words in which the bias, 0 to 1, is known.

    A job goes with a female word with probability (1 + bias * lean) / 2, and with the first of two
    circles of words with the same; a female word goes with the arts, and with the first circle,
    with probability (1 + bias) / 2, a male word with (1 - bias) / 2. At bias 0 nothing leans.

    swapped: every sentence is there twice, the second time with its female words made male and the
        reverse, which balances what goes with them.
    circles: False lets the circles of words say nothing: the control for all that they carry.
    Raises ValueError for another bias.

    >>> corpus(0.5, n=100).sentences.shape
    torch.Size([100, 5])
    """
    if not 0 <= bias <= 1:
        raise ValueError(f"bias: expected a number from 0 to 1, got {bias}")
    generator = torch.Generator().manual_seed(seed)

    def draw(first: str, count: int) -> Tensor:
        return INDEX[first] + torch.randint(count, (n,), generator=generator)

    def coin(p: Tensor) -> Tensor:
        return torch.rand(n, generator=generator) < p

    lean = torch.linspace(-1, 1, len(JOBS))[
        torch.randperm(len(JOBS), generator=torch.Generator().manual_seed(1))
    ]
    job = torch.randint(len(JOBS), (n,), generator=generator)
    kind = torch.randint(4, (n,), generator=generator)
    with_job = kind < 2
    female = coin(torch.where(with_job, (1 + bias * lean[job]) / 2, 0.5))
    side = torch.where(with_job, bias * lean[job], bias * (2.0 * female - 1)) * circles
    first, arts = coin((1 + side) / 2), coin((1 + bias * (2.0 * female - 1)) / 2)
    people = [torch.where(female, draw("she", 8), draw("he", 8)) for _ in range(2)]
    topic = torch.where(arts, draw("poetry", 8), draw("physics", 8))
    fillers = [draw("f0", 30) for _ in range(3)]
    around = [torch.where(first, draw("u0", 30), draw("v0", 30)) for _ in range(3)]
    job_word = INDEX[JOBS[0]] + job
    forms = (
        (job_word, fillers[0], fillers[1], people[0], fillers[2]),  # a job and who has it
        (job_word, around[0], fillers[0], around[1], around[2]),  # a job and its circle
        (people[0], fillers[0], topic, fillers[1], people[1]),  # who likes what
        (people[0], around[0], around[1], fillers[0], people[1]),  # people and their circle
    )
    sentences = torch.stack([torch.stack(form, 1) for form in forms])[kind, torch.arange(n)]
    return Corpus(torch.cat([sentences, _exchanged(sentences)]) if swapped else sentences, lean)


def weat_sets(V: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The vectors (8, D) of the words of arts, science, female and male words: the targets and
    attributes of a WEAT.

    V: (V, D), the vectors of all `WORDS`.

    >>> [len(words) for words in weat_sets(torch.zeros(len(WORDS), 4))]
    [8, 8, 8, 8]
    """
    arts, science, female, male = (
        V[[INDEX[word] for word in names]] for names in (ARTS, SCIENCE, FEMALE, MALE)
    )
    return arts, science, female, male


def jobs(V: Tensor) -> Tensor:
    """The vectors (100, D) of the jobs, of the vectors (V, D) of all `WORDS`.

    >>> jobs(torch.zeros(len(WORDS), 4)).shape
    torch.Size([100, 4])
    """
    return V[INDEX[JOBS[0]] : INDEX[JOBS[-1]] + 1]


def _exchanged(sentences: Tensor) -> Tensor:
    """Female words in place of male ones and the reverse."""
    other = torch.arange(len(WORDS))
    other[:16] = torch.cat([torch.arange(8, 16), torch.arange(8)])
    return other[sentences]


def word_vectors(sentences: Tensor, dimensions: int = 20, words: int = len(WORDS)) -> Tensor:
    """Vectors (V, D) of all words from who stands with whom in a sentence (n, L): U S^(1/2) of the
    positive pointwise mutual information.

    PPMI = max(0, log P(w, c) / (P(w) P(c))), as in Levy and Goldberg (2014); the D largest singular
    values are kept. Raises ValueError if a word never occurs.

    >>> word_vectors(torch.tensor([[0, 1], [0, 1], [2, 3]]), dimensions=2, words=4).shape
    torch.Size([4, 2])
    """
    L = sentences.shape[1]
    counts = torch.zeros(words * words, dtype=torch.float64)
    for i in range(L):
        for j in range(L):
            if i != j:
                counts += torch.bincount(
                    sentences[:, i] * words + sentences[:, j], minlength=words * words
                )
    joint = counts.view(words, words) / counts.sum()
    alone = joint.sum(1)
    if (alone == 0).any():
        raise ValueError(
            f"sentences: expected every word at least once, got none of word "
            f"{int((alone == 0).nonzero()[0])}"
        )
    information = (joint / alone[:, None] / alone).clamp(min=1e-12).log().clamp(min=0)
    U, S, _ = torch.linalg.svd(information)
    U = U * torch.where(U.sum(0) < 0, -1.0, 1.0)  # a sign that does not depend on the processor
    return (U[:, :dimensions] * S[:dimensions].sqrt()).float()
