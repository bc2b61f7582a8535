"""The data that need no download: the same bytes everywhere, and true in what they say of
themselves.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lib import data
from lib.data import SCENE_CLASSES, digits, generated, scenes

ROOT = Path(__file__).parents[2]


def digest(*tensors):
    value = hashlib.sha256()
    for tensor in tensors:
        value.update(tensor.contiguous().numpy().tobytes())
    return value.hexdigest()


@pytest.fixture(scope="module")
def many():
    return scenes(2000, seed=3, context=0.7, tagged=(1, 0.5, 0, 0.25), corner=None)


# Digits.


def test_digits_have_the_shapes_types_and_range_that_are_promised():
    d = digits()
    assert (
        d.x_train.shape == (1437, 1, 8, 8)
        and d.x_test.shape == (360, 1, 8, 8)
        and len(d.y_train) == 1437
        and len(d.y_test) == 360
    )
    assert d.x_train.dtype == torch.float32 and d.y_train.dtype == torch.long
    for x in (d.x_train, d.x_test):
        assert x.min() == 0 and x.max() == 1 and torch.equal(x * 16, (x * 16).round())


def test_every_digit_is_in_both_parts():
    d = digits()
    assert (torch.bincount(d.y_train) >= 130).all() and (
        torch.bincount(d.y_test, minlength=10) >= 25
    ).all()


def test_the_split_is_fixed_to_the_byte():
    d = digits()
    assert (
        digest(d.x_train, d.y_train, d.x_test, d.y_test)
        == "333c805b12da47b598425a9379f0571bb1b3610dd5cf923521451ab176244abf"
    )


def test_no_image_is_in_both_parts():
    d = digits()
    both = torch.cat([d.x_train, d.x_test]).flatten(1)
    assert len(both.unique(dim=0)) == len(both) == 1797


def test_digits_are_the_reader_s_own():
    """Writing into what one call gave does not change what the next gives."""
    digits().x_train.zero_()
    assert digits().x_train.max() == 1


# Scenes.


def test_scenes_have_the_shapes_types_and_range_that_are_promised():
    s = scenes(5, seed=0)
    assert (
        s.images.shape == (5, 3, 32, 32)
        and s.images.dtype == torch.float32
        and 0 <= s.images.min()
        and s.images.max() <= 1
    )
    assert (
        s.object_masks.shape == s.tag_masks.shape == (5, 32, 32)
        and s.object_masks.dtype == s.tag_masks.dtype == torch.bool
    )
    assert s.labels.dtype == s.backgrounds.dtype == torch.long and s.boxes.shape == (5, 4)
    assert set(scenes(200, seed=0).labels.tolist()) == set(range(len(SCENE_CLASSES)))


@pytest.mark.parametrize("size", [32, 33, 48, 64])
def test_a_box_is_the_smallest_that_holds_the_object(size):
    s = scenes(40, seed=1, size=size)  # without tags the mask is the whole object
    for mask, (left, top, right, bottom) in zip(s.object_masks, s.boxes.tolist()):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (
            left,
            top,
            right,
            bottom,
        )
        assert 0 <= left < right <= size and 0 <= top < bottom <= size


def test_a_mask_holds_the_object_s_one_colour(many):
    """Inside the mask the picture is of one colour but for the noise of 0.03, cut off at 0 and
    1.
    """
    for n in range(50):
        inside = many.images[n][:, many.object_masks[n]]
        assert (inside.std(1) < 0.04).all()


def test_a_tag_covers_the_object_and_is_white(many):
    assert not (many.object_masks & many.tag_masks).any()
    tags = many.images.permute(0, 2, 3, 1)[many.tag_masks]
    assert tags.min() > 0.8 and tags.mean() > 0.97


@pytest.mark.parametrize(
    ("corner", "rows", "columns"),
    [(0, "first", "first"), (1, "first", "last"), (2, "last", "first"), (3, "last", "last")],
)
@pytest.mark.parametrize("size", [32, 64, 70])
def test_the_tag_stands_in_the_corner_that_is_asked_for(corner, rows, columns, size):
    s = scenes(20, seed=2, size=size, tagged=(1, 0, 0, 0), corner=corner)
    assert torch.equal(s.tag_masks.flatten(1).any(1), s.labels == 0)
    places = torch.nonzero(s.tag_masks[s.labels == 0])
    half = size // 2
    assert ((places[:, 1] < half) == (rows == "first")).all() and (
        (places[:, 2] < half) == (columns == "first")
    ).all()


def within_five_sigma(hits, p):
    n, k = len(hits), int(hits.sum())
    return abs(k - n * p) <= 5 * np.sqrt(n * p * (1 - p))


def test_the_probabilities_are_those_that_were_asked_for(many):
    tagged = many.tag_masks.flatten(1).any(1)
    for label, p in enumerate((1, 0.5, 0, 0.25)):
        assert within_five_sigma(tagged[many.labels == label], p)
        assert within_five_sigma(many.labels == label, 0.25)
    assert within_five_sigma(many.backgrounds == many.labels, 0.7 + 0.3 / 4)
    for ground in range(4):
        other = many.labels != ground
        assert within_five_sigma((many.backgrounds == ground)[other], 0.3 / 4)
    corners = many.tag_masks[tagged]
    assert within_five_sigma(corners[:, :16].flatten(1).any(1), 0.5) and within_five_sigma(
        corners[:, :, :16].flatten(1).any(1), 0.5
    )


@pytest.mark.parametrize(("context", "share"), [(0.0, 0.25), (1.0, 1.0)])
def test_the_background_agrees_always_or_by_chance(context, share):
    s = scenes(300, seed=5, context=context)
    assert within_five_sigma(s.backgrounds == s.labels, share)


def test_one_seed_gives_the_same_bytes_in_another_process_too():
    code = (
        "import hashlib, sys; sys.path[:0] = ['.', 'tests/data']; from test_data import digest; "
        "from lib.data import scenes; "
        "s = scenes(20, seed=7, size=40, tagged=(1, 1, 0, 0), corner=None); "
        "print(digest(s.images, s.labels, s.backgrounds, s.object_masks, s.tag_masks, s.boxes))"
    )
    s = scenes(20, seed=7, size=40, tagged=(1, 1, 0, 0), corner=None)
    mine = digest(s.images, s.labels, s.backgrounds, s.object_masks, s.tag_masks, s.boxes)
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.strip()
    assert mine == other
    assert digest(scenes(20, seed=8, size=40).images) != digest(scenes(20, seed=7, size=40).images)


def test_what_is_true_of_the_scenes_is_the_same_everywhere():
    """The whole numbers; the colours pass through sin and may differ in the last bit from one
    processor to another.
    """
    s = scenes(50, seed=11, tagged=(0.5, 0.5, 0.5, 0.5), corner=None)
    assert (
        digest(s.labels, s.backgrounds, s.object_masks, s.tag_masks, s.boxes)
        == "35ea8047a554e7451f62713185d90362e355ab56ba5f3097b6997c8c3d59b8a5"
    )


def test_drawing_scenes_leaves_the_random_states_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    scenes(3, seed=0)
    digits()
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(
        before[1], np.random.get_state()[1]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n, size: .* got 0 and 32"),
        ({"n": 3, "size": 31}, "n, size: .* got 3 and 31"),
        ({"n": 3, "context": 1.1}, "context, tagged: .* got 1.1"),
        ({"n": 3, "context": float("nan")}, "context, tagged: "),
        ({"n": 3, "tagged": (0, 0, 0)}, "context, tagged: "),
        ({"n": 3, "tagged": (0, 0, 0, -0.1)}, "context, tagged: "),
        ({"n": 3, "corner": 4}, "corner: expected 0, 1, 2, 3 or None, got 4"),
        ({"n": 3, "corner": -1}, "corner: "),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        scenes(seed=0, **options)


# ---------------------------------------------------------------- reviews


def test_reviews_are_what_they_say():
    r = data.reviews(500, seed=4)
    assert (
        r.words.shape == r.evidence.shape == r.negations.shape == (500, 24)
        and r.words.dtype == torch.long
    )
    assert ((r.evidence.sum(1) > 0).long() == r.labels).all() and (r.evidence.sum(1) != 0).all()
    assert (r.evidence[r.words == 0] == 0).all() and not r.negations[r.words == 0].any()
    # no gap: padding is on the left
    assert (
        r.words.diff(dim=1)[(r.words[:, :-1] != 0)] != -r.words[:, :-1][r.words[:, :-1] != 0]
    ).all()
    praise, blame = (
        {data.VOCABULARY.index(w) for w in generated._WORDS[kind].split()}
        for kind in ("good", "bad")
    )
    for words, evidence, negations in zip(
        r.words.tolist(), r.evidence.tolist(), r.negations.tolist()
    ):
        turned = 1
        for word, sign, negates in zip(words, evidence, negations):
            turned = -1 if negates else 1 if data.VOCABULARY[word] in ("and", "but") else turned
            assert sign == (turned if word in praise else -turned if word in blame else 0)


def test_reviews_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    one, two, other = data.reviews(50, seed=1), data.reviews(50, seed=1), data.reviews(50, seed=2)
    assert torch.equal(one.words, two.words) and not torch.equal(one.words, other.words)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_share_of_negated_clauses_is_as_asked():
    assert not data.reviews(100, seed=0, negated=0).negations.any()
    r = data.reviews(2000, seed=0, negated=0.5)
    clauses = (r.words == data.VOCABULARY.index("the")).sum().item()
    # ties, which are drawn again, shift it a little
    assert abs(r.negations.sum().item() / clauses - 0.5) < 5 * 0.5 / clauses**0.5 + 0.02


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 3, "negated": 1.5}])
def test_bad_arguments_of_reviews_are_named(arguments):
    with pytest.raises(ValueError, match="n, negated"):
        data.reviews(seed=0, **arguments)


def test_measurements_are_there():
    scaling = data.measured("scaling")
    assert scaling["unit"][0] == 1 and len(scaling["depth"]) == len(scaling["unit"]) == len(
        scaling["lrp"]
    )
