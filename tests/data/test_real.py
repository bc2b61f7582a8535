"""The real data sets: read where they are, with the counts that their sources state; downloads
edited, verified and refused.
"""

import hashlib

import numpy as np
import pooch
import pytest
import torch

from lib import data
from lib.data import downloads, packages, real


def needs(name: str) -> None:
    if downloads.given(name) is None:
        pytest.skip(f"BOOK_DATA does not name a folder that holds {name}")


def test_newsgroups():
    needs("20newsgroups/scikit_learn_data")
    train, test = data.newsgroups(), data.newsgroups("test", ("headers", "footers", "quotes"))
    assert (len(train.texts), len(test.texts), len(train.classes)) == (11314, 7532, 20)
    assert train.labels[:10].tolist() == [7, 4, 4, 1, 14, 16, 13, 3, 2, 4]
    assert "sci.med" in train.classes and len(test.labels) == 7532


def test_sentence_polarity():
    needs("sentence_polarity")
    read = data.sentence_polarity()
    assert (
        len(read.texts) == 10662
        and read.labels.sum() == 5331
        and read.classes == ("negative", "positive")
    )
    assert "dull" in " ".join(read.texts[:5331]) and read.texts[-1] == read.texts[-1].strip()


def test_compas_gives_the_published_rates_and_no_names():
    needs("compas")
    people = data.compas()
    assert set(people) == set(real.COMPAS_COLUMNS) and not set(people) & set(real.COMPAS_NAMES)
    high, again = people["score_text"] != "Low", people["two_year_recid"] == 1
    for race, false_positive, false_negative in (
        ("African-American", 44.85, 27.99),
        ("Caucasian", 23.45, 47.72),
    ):
        group = people["race"] == race
        assert (
            round(100 * (high & group & ~again).sum() / (group & ~again).sum(), 2) == false_positive
        )
        assert (
            round(100 * (~high & group & again).sum() / (group & again).sum(), 2) == false_negative
        )


def test_adult():
    needs("adult")
    train, test = data.adult()
    assert len(train["age"]) == 32561 and len(test["age"]) == 16281
    assert (train["income"] == ">50K").sum() == 7841 and (test["income"] == ">50K").sum() == 3846
    assert (train["sex"] == "Male").sum() == 21790 and train["age"].dtype == int
    assert (
        sum(
            any(
                column[k] == "?"
                for column in map(np.asarray, train.values())
                if column.dtype.kind == "U"
            )
            for k in range(32561)
        )
        == 2399
    )


@pytest.mark.parametrize(("name", "words"), [("glove", 457), ("word2vec", 7018)])
def test_word_embeddings(name, words):
    needs("embeddings")
    found, vectors = data.word_embeddings(name)
    assert len(found) == words and vectors.shape == (words, 300) and torch.isfinite(vectors).all()
    assert "WEAT1" in data.word_lists("weat_caliskan2017.json")


def test_photos():
    needs("photos")
    photos = data.photos()
    assert (
        photos["chelsea"].image.shape == (3, 300, 451)
        and 0 <= photos["chelsea"].image.min() < photos["chelsea"].image.max() <= 1
    )
    assert list(photos) == ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    for photo in photos.values():
        boxes_lie_in(photo)


def boxes_lie_in(photo):
    for _, (left, top, right, bottom) in photo.boxes:
        assert (
            0 <= left < right <= photo.image.shape[2] and 0 <= top < bottom <= photo.image.shape[1]
        )


def test_the_boxes_of_a_photo_as_a_network_sees_it():
    photo = real.Photo(torch.zeros(3, 40, 60), [("a", (5, 0, 30, 20)), ("b", (55, 20, 60, 40))])
    inside = photo.within(size=20)  # the middle square begins at column 10, two pixels to one
    assert inside.shape == (20, 20) and inside[:10, :10].all() and inside.sum() == 100
    assert not photo.within("b", 20).any()  # beyond the square
    twice = real.Photo(photo.image, [("a", (10, 0, 20, 10)), ("a", (40, 30, 50, 40))])
    assert twice.within("a", 20).sum() == 50 and twice.within(size=20).sum() == 25
    with pytest.raises(ValueError, match=r"label: expected one of \['a', 'b'\], got 'c'"):
        photo.within("c")


def test_photos_that_packages_ship_need_no_download(cache, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a download that nobody asked for")

    monkeypatch.setattr(pooch, "retrieve", never)
    shipped = data.photos(["china", "flower", "grace_hopper"])
    assert list(shipped) == ["china", "flower", "grace_hopper"] and not cache.exists()
    assert [tuple(photo.image.shape) for photo in shipped.values()] == [
        (3, 427, 640),
        (3, 427, 640),
        (3, 600, 512),
    ]
    for photo in shipped.values():
        assert 0 <= photo.image.min() < photo.image.max() <= 1 and photo.boxes
        boxes_lie_in(photo)
    assert data.photos([]) == {}


@pytest.mark.parametrize("names", [["cat"], "china", ["china", "china.jpg"]], ids=str)
def test_other_photos_are_refused(names):
    with pytest.raises(ValueError, match="names: expected a list of names of .*'grace_hopper'"):
        data.photos(names)


def test_a_package_that_does_not_ship_a_photo_is_named(cache, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(OSError, match="china.jpg: .*`pip install --no-deps scikit-learn`"):
        data.photos(["china"])


@pytest.mark.parametrize(
    ("name", "accuracy", "doubtful"),
    [("mnist", 0.9913, 100), ("cifar10", 0.9294, 275), ("20news", 0.9234, 93)],
)
def test_label_errors(name, accuracy, doubtful):
    needs("label_errors")
    read = data.label_errors(name)
    assert (
        round((read.probabilities.argmax(1) == read.labels).double().mean().item(), 4) == accuracy
    )
    assert len(read.votes) == doubtful
    for vote in read.votes:  # five people; where both labels are one, its votes stand twice
        counted = (
            vote["given"]
            + vote["both"]
            + vote["neither"]
            + (vote["guessed"] if vote["given label"] != vote["guessed label"] else 0)
        )
        assert counted == 5


def test_human_labels():
    needs("cifar10h")
    counts = data.human_labels()
    assert counts.shape == (10000, 10) and counts.sum() == 511000


def test_other_names_are_refused():
    for ask in (data.word_embeddings, data.label_errors):
        with pytest.raises(ValueError, match="name: expected one of .* got 'other'"):
            ask("other")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache")
    return tmp_path / "cache"


def test_what_identifies_a_person_is_never_stored(cache, tmp_path, monkeypatch):
    official = (
        b"id,name,first,last,age,dob,c_case_number,r_case_number,vr_case_number\n1,ann "
        b"lee,ann,lee,30,1980-01-01,A1,,\n"
    )
    edited = real.without_names(official)
    assert (
        edited
        == b"id,name,first,last,age,dob,c_case_number,r_case_number,vr_case_number\n1,,,,30,,,,\n"
    )
    (tmp_path / "official.csv").write_bytes(official)

    def retrieve(address, known_hash, path, progressbar):
        assert known_hash == hashlib.sha256(official).hexdigest() and str(cache) not in str(path)
        return tmp_path / "official.csv"

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    path = downloads.file(
        "compas/x.csv",
        hashlib.sha256(edited).hexdigest(),
        ["https://x.invalid/x.csv"],
        (hashlib.sha256(official).hexdigest(), real.without_names),
    )
    assert path == cache / "compas/x.csv" and path.read_bytes() == edited
    assert [p.read_bytes() for p in cache.rglob("*") if p.is_file()] == [edited]


def test_a_set_without_an_address_says_where_to_put_it(cache):
    with pytest.raises(OSError, match=r"embeddings/glove.*by hand.*BOOK_DATA"):
        data.word_embeddings("glove")
