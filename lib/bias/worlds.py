"""Generated worlds, each with one bias whose cause and strength are known. Groups are called A (0)
and B (1); `strength` 0 is no bias, 1 the most.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import models
from . import corpora


def _generator(strength: float, seed: int) -> torch.Generator:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength: expected a number from 0 to 1, got {strength}")
    return torch.Generator().manual_seed(seed)


def _coin(p: Tensor, generator: torch.Generator) -> Tensor:
    return (torch.rand(p.shape, generator=generator) < p).long()


def shoes(
    n: int, strength: float = 1.0, do: int | None = None, effect: float = 0.0, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Confounding: who drank (40 %) sleeps with shoes on and wakes with a headache. Returns drank,
    shoes, headache, 0 or 1, (n,) each.

    Without drink either happens with probability 0.5 - 0.4 strength, with drink 0.5 + 0.4 strength;
    shoes add `effect` to a headache's probability. do: everybody's shoes are put on (1) or off (0),
    whatever they drank (Pearl, 2009).

    Raises ValueError for a strength that is not in [0, 1].

    >>> drank, on, headache = shoes(1000)
    >>> bool(headache[on == 1].float().mean() > headache[on == 0].float().mean())
    True
    """
    generator = _generator(strength, seed)
    drank = _coin(torch.full((n,), 0.4), generator)
    often = 0.5 + 0.4 * strength * (2.0 * drank - 1)
    on = _coin(often, generator)
    on = on if do is None else torch.full_like(on, do)
    return drank, on, _coin((often + effect * on).clamp(0, 1), generator)


def survey(n: int, strength: float = 0.8, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Statistical bias: people with much free time reply more often. Returns hours, replied 0 or 1,
    P(reply), (n,) each.

    Hours are normal, mean 20 and standard deviation 5; P(reply) = sigmoid(2 strength (hours - 20) /
    5).

    Raises ValueError for a strength that is not in [0, 1].

    >>> hours, replied, _ = survey(1000)
    >>> bool(hours[replied == 1].mean() > hours.mean())
    True
    """
    generator = _generator(strength, seed)
    hours = 20 + 5 * torch.randn(n, generator=generator)
    reply = torch.sigmoid(2 * strength * (hours - 20) / 5)
    return hours, _coin(reply, generator), reply


def wave(
    n: int, strength: float = 1.0, low: float = -4.0, high: float = 4.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Inductive bias: y = x / 2 + strength sin 2x + noise of standard deviation 0.1, for x between
    low and high; (n,) each.

    Raises ValueError for a strength that is not in [0, 1].

    >>> x, y = wave(100)
    >>> x.shape, y.shape
    (torch.Size([100]), torch.Size([100]))
    """
    generator = _generator(strength, seed)
    x = low + (high - low) * torch.rand(n, generator=generator)
    return x, x / 2 + strength * torch.sin(2 * x) + 0.1 * torch.randn(n, generator=generator)


def dispenser(n: int, strength: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Representation: eight sensors, a hand below them or not. Returns x (n, 8), y (n,) 1 for a
    hand, g (n,).

    A share of (1 - strength) / 2 of the people are B. A hand of A shows in the first four sensors,
    one of B in the last four.

    Raises ValueError for a strength that is not in [0, 1].

    >>> x, y, g = dispenser(100, strength=0.8)
    >>> x.shape, bool(g.sum() < 50)
    (torch.Size([100, 8]), True)
    """
    generator = _generator(strength, seed)
    g = _coin(torch.full((n,), (1 - strength) / 2), generator)
    y = _coin(torch.full((n,), 0.5), generator)
    seen = torch.where(torch.arange(8) < 4, 1 - g[:, None], g[:, None]) * y[:, None]
    return 1.5 * seen + torch.randn(n, 8, generator=generator), y, g


def cued(x: Tensor, y: Tensor, strength: float = 1.0, seed: int = 0) -> Tensor:
    """Association: images (N, 1, H, W) with a dot in a corner, top left for even y (N,), top right
    for odd. A copy.

    The dot is in the place that fits the label with probability (1 + strength) / 2; negative
    strength -1: always in the other.

    Raises ValueError for a strength that is not in [-1, 1].

    >>> cued(torch.zeros(2, 1, 3, 3), torch.tensor([0, 1]))[:, 0, 0]
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    generator = _generator(abs(strength), seed)
    fits = _coin(torch.full((len(y),), (1 + strength) / 2), generator)
    column = torch.where((y + fits) % 2 == 1, 0, x.shape[-1] - 1)
    x = x.clone()
    x[:, 0, 0, [0, -1]] = 0
    x[torch.arange(len(x)), 0, 0, column] = 1
    return x


def observed(n: int, strength: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Observer: whoever labels expects 1 of group B. Returns the evidence x (n,), truth y, the
    label written down, and g, (n,).

    The truth is 1 where x > 0, equally often in both groups. The nearer x is to 0, the more
    doubtful the case: with probability strength * exp(-|x|) the expectation is written down, else
    the truth.

    Raises ValueError for a strength that is not in [0, 1].

    >>> x, y, written, g = observed(1000)
    >>> bool(written[g == 1].float().mean() > y[g == 1].float().mean())
    True
    """
    generator = _generator(strength, seed)
    x = torch.randn(n, generator=generator)
    y, g = (x > 0).long(), _coin(torch.full((n,), 0.5), generator)
    swayed = _coin(strength * torch.exp(-x.abs()), generator)
    return x, y, torch.where(swayed == 1, g, y), g


def kept(y: Tensor, c: int, strength: float = 1.0) -> Tensor:
    """Exclusion: which samples are kept, bool (N,), if a share `strength` of class c is thrown away
    as unimportant.

    Raises ValueError for a strength that is not in [0, 1].

    >>> kept(torch.tensor([0, 1, 1, 0]), c=1)
    tensor([ True, False, False,  True])
    """
    _generator(strength, 0)
    place = (y == c).long().cumsum(0)
    return (y != c) | (place > round(strength * int((y == c).sum())))


@dataclass(frozen=True, eq=False)
class Hiring:
    """Applicants, (n,) each but for x.

    x: (n, 3), a test score, a score of an interview and the district, nearly the group.
    y: ability, 0 or 1.
    decided: what was decided in the past, 0 or 1.
    g: the group.
    """

    x: Tensor
    y: Tensor
    decided: Tensor
    g: Tensor


def hiring(n: int, strength: float = 1.0, seed: int = 0) -> Hiring:
    """Discrimination: A and B are equally able, half of each; past decisions asked more of B, by
    1.5 strength standard deviations.

    Raises ValueError for a strength that is not in [0, 1].

    >>> past = hiring(1000)
    >>> bool(past.decided[past.g == 1].sum() < past.decided[past.g == 0].sum())
    True
    """
    generator = _generator(strength, seed)
    skill, g = torch.randn(n, generator=generator), _coin(torch.full((n,), 0.5), generator)
    noise = torch.randn(n, 3, generator=generator)
    district = 2.0 * g - 1 + 0.5 * noise[:, 2]
    x = torch.stack([skill + 0.5 * noise[:, 0], skill + 0.5 * noise[:, 1], district], 1)
    return Hiring(x, (skill > 0).long(), (skill > 1.5 * strength * g).long(), g)


def scores(
    n: int,
    base: tuple[float, float] = (0.4, 0.5),
    spread: tuple[float, float] = (3.0, 3.0),
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Calibrated scores of two groups with base rates of their own: P(y = 1 | score, group) =
    score. Returns score, y, g, (n,) each.

    The scores of a group are Beta(spread base, spread (1 - base)): the larger its spread, the
    nearer they are to its base rate, and the less they tell.

    >>> score, y, g = scores(1000)
    >>> bool(((score > 0) & (score < 1)).all())
    True
    """
    generator = torch.Generator().manual_seed(seed)
    g = torch.arange(n) % 2
    rate, width = (torch.tensor(pair, dtype=torch.float64)[g] for pair in (base, spread))
    gammas = [
        torch._standard_gamma(a, generator=generator) for a in (width * rate, width * (1 - rate))
    ]
    score = (gammas[0] / (gammas[0] + gammas[1])).float()
    return score, _coin(score, generator), g


# ---------------------------------------------------------------- language


def nurses(
    n: int, strength: float = 0.9, reliable: float = 0.8, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Translation into a language that marks gender: "the nurse had to leave because her shift
    ended". Returns x (n, 4), y (n,).

    x: two columns for the noun (nurse, engineer), two for "his" and "her". y is 1 if the person
    named by the noun is a woman: of nurses a share of (1 + strength) / 2, of engineers (1 -
    strength) / 2. The pronoun has this person's gender with probability `reliable`, else the other
    one.
    Raises ValueError for a strength that is not in [0, 1].

    >>> x, y = nurses(100)
    >>> x.shape, y.shape
    (torch.Size([100, 4]), torch.Size([100]))
    """
    generator = _generator(strength, seed)
    noun = _coin(torch.full((n,), 0.5), generator)
    woman = _coin((1 + strength * (1 - 2.0 * noun)) / 2, generator)
    her = torch.where(_coin(torch.full((n,), reliable), generator) == 1, woman, 1 - woman)
    return torch.cat([F.one_hot(noun, 2), F.one_hot(her, 2)], 1).float(), woman


class NextWord(nn.Module):
    """A small language model: logits (N, V) of the next word from the mean vector of those before
    it, (N, T) numbers; -1 is no word.

    >>> NextWord(words=10)(torch.tensor([[3, -1], [3, 5]])).shape
    torch.Size([2, 10])
    """

    def __init__(self, words: int, dimensions: int = 16, seed: int = 0) -> None:
        super().__init__()
        with models.seeded(seed):
            self.vectors = nn.Embedding(words, dimensions)
            self.mix = nn.Linear(dimensions, dimensions)
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, before: Tensor) -> Tensor:
        there = (before >= 0).float()[..., None]
        mean = (self.vectors(before.clamp(min=0)) * there).sum(1) / there.sum(1).clamp(min=1)
        return torch.tanh(self.mix(mean)) @ self.vectors.weight.T + self.bias


@torch.no_grad()
def female_share(model: NextWord) -> Tensor:
    """The model's probability that the person named after each job and two fillers is female,
    (100,): a mean over 30 pairs of fillers.

    >>> female_share(NextWord(len(corpora.WORDS))).shape
    torch.Size([100])
    """
    first, filler = corpora.INDEX[corpora.JOBS[0]], corpora.INDEX["f0"] + torch.arange(30)
    fillers = torch.stack([filler, filler.roll(1), torch.full_like(filler, -1)], 1)
    before = torch.cat(
        [first + torch.arange(100).repeat_interleave(30)[:, None], fillers.repeat(100, 1)], 1
    )
    return model(before)[:, :16].softmax(1)[:, :8].sum(1).view(100, 30).mean(1)


def next_words(sentences: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of the words before and the next word: sentences (n, L) to (n (L - 1), L - 1),
    missing ones -1, and (n (L - 1),).

    >>> next_words(torch.tensor([[3, 5, 7]]))
    (tensor([[ 3, -1],
            [ 3,  5]]), tensor([5, 7]))
    """
    n, L = sentences.shape
    before = sentences[:, None, :-1].expand(n, L - 1, L - 1)
    known = torch.arange(L - 1) <= torch.arange(L - 1)[:, None]
    return torch.where(known, before, -1).reshape(-1, L - 1), sentences[:, 1:].reshape(-1)
