"""What the page on real data concludes about words and sentences, in draws that it does not use."""

import json
import os

import pytest
import torch
import torch.nn.functional as F
from sklearn.svm import SVC

from lib import bias, data, models

pytestmark = pytest.mark.skipif("BOOK_DATA" not in os.environ, reason="BOOK_DATA names no folder")
PARTS = ("target_1", "target_2", "attribute_1", "attribute_2")
SAID = ("This is {}.", "Here is {}.", "That one is {}.", "We speak of {}.")


def after(E, direction, seed):
    """The share of sides recovered when the direction (D, 1) is gone, half of 1,000 words known."""
    order = (E @ direction)[:, 0].argsort()
    ends, side = torch.cat([order[:500], order[-500:]]), torch.arange(1000) // 500
    bare = F.normalize(bias.remove_projection(E, direction))[ends]
    learnt, asked = torch.randperm(1000, generator=torch.Generator().manual_seed(seed)).split(500)
    machine = SVC().fit(bare[learnt], side[learnt])
    found = torch.from_numpy(machine.predict(bare[asked]))
    return float((found == side[asked]).double().mean())


def test_a_random_direction_is_recovered_too():
    words, E = data.word_embeddings("word2vec")
    E, place = F.normalize(E), {word: k for k, word in enumerate(words)}
    pairs = json.loads(data.word_lists("gender_word_lists.json"))["definitional_pairs"]
    pairs = [pair for pair in pairs if set(pair) <= set(place)]
    she, he = (E[[place[pair[k]] for pair in pairs]] for k in (0, 1))
    gender = bias.bias_direction(she, he, share=0.01)[:, :1]
    of_gender = [after(E, gender, seed) for seed in range(50, 55)]
    drawn = [torch.randn(300, 1, generator=torch.Generator().manual_seed(s)) for s in range(50, 60)]
    of_random = [after(E, F.normalize(d, dim=0), 50 + k) for k, d in enumerate(drawn)]
    assert min(of_gender) > 0.85 and min(of_random) > 0.8
    assert abs(sum(of_gender) / 5 - sum(of_random) / 10) < 0.04


@pytest.fixture(scope="module")
def sentences():
    """The ten tests, and the vector of each word in three of the four sentences, in turn."""
    tests = json.loads(data.word_lists("weat_caliskan2017.json"))["tests"]
    ten = [tests[f"WEAT{k}"] for k in range(1, 11)]
    words = sorted({w for t in ten for part in PARTS for w in t[part]["words"]})
    encoder = models.pretrained("minilm")
    with torch.no_grad():
        each = [encoder(encoder.tokens([s.format(w) for w in words])) for s in SAID]
    vectors = [torch.stack(each[:k] + each[k + 1 :]).mean(0) for k in range(4)]
    return ten, {word: k for k, word in enumerate(words)}, vectors


def effects_and_limits(sentences, k):
    """|d| of test k, and the |d| that 95 % of random attributes stay below, for each choice of
    sentences.
    """
    ten, number, vectors = sentences
    for choice, V in enumerate(vectors):
        X, Y, A, B = (V[[number[w] for w in ten[k][part]["words"]]] for part in PARTS)
        drawn = []
        for seed in range(200):
            g = torch.Generator().manual_seed(10_000 * (choice + 1) + seed)
            a, b = V[torch.randperm(len(V), generator=g)[: len(A) + len(B)]].split([len(A), len(B)])
            s = bias.association(torch.cat([X, Y]), a, b)
            drawn.append(float(((s[: len(X)].mean() - s[len(X) :].mean()) / s.std()).abs()))
        d = bias.weat(X, Y, A, B, samples=1000).effect
        yield d, float(torch.tensor(drawn).quantile(0.95))


def test_harmless_tests_stand_out(sentences):
    """Flowers and insects, instruments and weapons: above random attributes, in most choices."""
    for k in (0, 1):
        pairs = [*effects_and_limits(sentences, k)]
        assert sum(d > limit for d, limit in pairs) >= 3
        assert all(d > limit - 0.1 for d, limit in pairs)


def test_names_do_not_stand_out_from_random_attributes(sentences):
    for k in (2, 3, 4, 5):
        assert all(d < limit for d, limit in effects_and_limits(sentences, k))
