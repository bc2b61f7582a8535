"""Tokens, membership, private steps and their accountant, energy, promises: against slow loops,
published values and Opacus.
"""

import json
import math
import os
import random
import time
import warnings
from pathlib import Path

import measure
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn import metrics
from torch import nn

from lib import data, models
from lib import responsibility as resp
from lib.responsibility import privacy

torch.set_num_threads(1)


def points(n=12, seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, 3, 4, generator=draw, dtype=dtype), torch.randint(
        5, (n,), generator=draw
    )


def net(dtype=torch.float32, dropout=0.0):
    return models.mlp(12, (7,), 5, dropout=dropout).to(dtype)


# ---------------------------------------------------------------- tokens


def slow_bpe(counts, merges):
    words, learnt = {word: [bytes([b]) for b in word.encode()] for word in counts}, []
    for _ in range(merges):
        total = {}
        for word, parts in words.items():
            for pair in zip(parts, parts[1:]):
                total[pair] = total.get(pair, 0) + counts[word]
        if not total:
            break
        best = sorted(total, key=lambda pair: (-total[pair], pair))[0]
        learnt.append(best)
        words = {word: slow_merge(parts, best) for word, parts in words.items()}
    return learnt


def slow_merge(parts, pair):
    result, i = [], 0
    while i < len(parts):
        both = tuple(parts[i : i + 2]) == pair
        result.append(parts[i] + parts[i + 1] if both else parts[i])
        i += 2 if both else 1
    return result


@given(
    st.dictionaries(st.text("abcä ", min_size=1, max_size=9), st.integers(1, 5), max_size=8),
    st.integers(0, 12),
)
@settings(max_examples=150, deadline=None)
def test_merges_are_those_of_a_recount_after_every_merge(counts, merges):
    learnt = resp.train_bpe(counts, merges)
    assert learnt == slow_bpe(counts, merges)
    for word in counts:
        parts = [bytes([b]) for b in word.encode()]
        for pair in learnt:
            parts = slow_merge(parts, pair)
        if " " not in word:
            assert resp.encode(word, learnt) == parts


@given(
    st.text(max_size=30),
    st.lists(
        st.sampled_from([(b"a", b"b"), (b"\xc3", b"\xa4"), (b" ", b"a"), (b"ab", b"a")]),
        unique=True,
    ),
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_and_merges_never_cost(text, pairs):
    found = resp.encode(text, pairs)
    assert b"".join(found) == text.encode() and len(found) <= len(text.encode())


def test_without_merges_a_token_is_a_byte():
    sentences = resp.parallel_sentences(20, seed=3)
    assert resp.tokens_per_sentence(sentences) == {
        k: sum(len(s.encode()) for s in v) / 20 for k, v in sentences.items()
    }


def test_weights_of_a_mixture_add_up_and_scale_is_of_no_consequence():
    counts = resp.mixture(0.3)
    assert sum(len(word.encode()) * n for word, n in counts.items()) == pytest.approx(1e4)
    greek = sum(
        len(word.encode()) * n
        for word, n in counts.items()
        if any("α" <= letter <= "ω" for letter in word)
    )
    # a ninth of 3,000 bytes, less its first words, capital letters only
    assert 0.7 * 300 < greek < 350
    assert resp.train_bpe(counts, 60) == resp.train_bpe(
        {word: 7 * n for word, n in counts.items()}, 60
    )
    assert not [word for word in resp.mixture(0.0) if not word.isascii()]


def test_sentences_are_parallel_and_those_for_testing_are_new():
    train, test = (
        resp.parallel_sentences(800, seed=0),
        resp.parallel_sentences(200, seed=0, test=True),
    )
    for language in resp.LANGUAGES:
        assert (
            len(set(train[language])) == 800
            and len(set(test[language])) == 200
            and not set(train[language]) & set(test[language])
        )
    again = resp.parallel_sentences(200, seed=0, test=True)
    assert again == test
    bread = {
        language: [k for k, text in enumerate(texts) if word in text]
        for (language, texts), word in zip(
            test.items(),
            [
                "buys bread",
                "compra pão",
                "Brot",
                "leipää",
                "mkate ",
                "ψωμί",
                "хлеб",
                "الخبز ",
                "रोटी",
                "面包，",
            ],
        )
    }
    del bread["Swahili"], bread["Chinese"]  # where the baker has bread in his name
    bread["Arabic"] = [k for k, text in enumerate(test["Arabic"]) if "يشتري الخبز" in text]
    assert len({tuple(v) for v in bread.values()}) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resp.train_bpe({"ab": 1}, -1), "merges"),
        (lambda: resp.train_bpe({"ab": 0}, 1), "counts"),
        (lambda: resp.train_bpe({"ab": float("nan")}, 1), "counts"),
        (lambda: resp.tokens_per_sentence({"English": []}), "English"),
        (lambda: resp.mixture(1.5), "share"),
        (lambda: resp.parallel_sentences(801, 0), "n:"),
        (lambda: resp.parallel_sentences(0, 0), "n:"),
    ],
)
def test_bad_words_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ---------------------------------------------------------------- membership


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_attack_is_a_threshold_on_the_loss(n, m, seed):
    model, (x, y) = net(torch.float64), points(n + m, seed, torch.float64)
    attack = resp.membership_inference(model, x[:n], y[:n], x[n:], y[n:])
    loss = [
        -math.log(math.exp(row[c]) / sum(math.exp(v) for v in row))
        for row, c in zip(model(x).tolist(), y.tolist())
    ]
    mean = sum(loss[:n]) / n
    advantage = (
        sum(v <= mean + 1e-12 for v in loss[:n]) / n - sum(v <= mean + 1e-12 for v in loss[n:]) / m
    )
    assert attack.advantage == pytest.approx(advantage)
    truth = [1] * n + [0] * m
    assert attack.auc == pytest.approx(metrics.roc_auc_score(truth, [-v for v in loss]))
    assert metrics.auc(attack.fpr, attack.tpr) == pytest.approx(attack.auc, abs=1e-6)
    assert (attack.fpr[0], attack.tpr[0], attack.fpr[-1], attack.tpr[-1]) == (0, 0, 1, 1)


def test_the_attack_leaves_the_model_as_it_was_and_tells_tiny_losses_apart():
    model, (x, y) = net(dropout=0.5).train(), points()
    state = torch.get_rng_state()
    first = resp.membership_inference(model, x[:6], y[:6], x[6:], y[6:])
    assert (
        model.training
        and torch.equal(state, torch.get_rng_state())
        and all(p.grad is None for p in model.parameters())
    )
    assert first.auc == resp.membership_inference(model, x[:6], y[:6], x[6:], y[6:]).auc
    sure = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)).requires_grad_(False)
    sure[1].weight.copy_(torch.tensor([[1.0], [0.0]]))
    assert (
        len(
            resp.losses(
                sure,
                torch.tensor([[[[20.0]]], [[[21.0]]], [[[22.0]]]]),
                torch.zeros(3, dtype=torch.long),
            ).unique()
        )
        == 3
    )


# ---------------------------------------------------------------- private steps


def loop_gradients(model, x, y):
    rows = []
    for k in range(len(x)):
        rows.append(
            torch.autograd.grad(
                F.cross_entropy(model(x[k : k + 1]), y[k : k + 1]), list(model.parameters())
            )
        )
    return [torch.stack(part) for part in zip(*rows)]


@pytest.mark.parametrize(
    "make",
    [net, lambda dtype: models.cnn(size=8, width=2, classes=5).to(dtype)],
    ids=["mlp", "cnn"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_all_samples_at_once_are_those_of_a_loop(make, dtype):
    model = make(dtype)
    x, y = points(5, 1, dtype)
    x = x if make is net else F.interpolate(x, (8, 8))
    for ours, loop in zip(
        resp.per_sample_gradients(model, x, y), loop_gradients(model, x, y), strict=True
    ):
        assert torch.allclose(ours, loop, atol=1e-5 if dtype == torch.float32 else 1e-12)


@given(st.floats(0.01, 20), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_each_sample_is_clipped_as_a_whole(clip, n, seed):
    model, (x, y) = net(torch.float64), points(n, seed, torch.float64)
    total, norms = resp.clipped_sum(resp.per_sample_gradients(model, x, y), clip)
    expected = 0
    for k in range(n):
        g = torch.cat([part[k].flatten() for part in loop_gradients(model, x, y)])
        assert norms[k].item() == pytest.approx(g.norm().item())
        expected = expected + g * min(1.0, clip / g.norm().item())
    whole = torch.cat([part.flatten() for part in total])
    assert torch.allclose(whole, expected, atol=1e-10)
    for k in range(n):  # without one person
        keep = torch.arange(n) != k
        rest, _ = resp.clipped_sum(resp.per_sample_gradients(model, x[keep], y[keep]), clip)
        assert (whole - torch.cat([part.flatten() for part in rest])).norm() <= clip * (1 + 1e-9)


def test_a_step_without_noise_and_with_a_large_clip_is_a_plain_step():
    ours, plain, (x, y) = net(torch.float64), net(torch.float64), points(6, 2, torch.float64)
    resp.dp_sgd_step(ours, x, y, clip=1e6, noise=0, learning_rate=0.3, seed=0)
    optimizer = torch.optim.SGD(plain.parameters(), 0.3)
    F.cross_entropy(plain(x), y).backward()
    optimizer.step()
    for a, b in zip(ours.parameters(), plain.parameters()):
        assert torch.allclose(a, b, atol=1e-12) and a.grad is None


def test_the_noise_has_the_stated_size_also_for_nobody():
    moved = []
    for seed in range(300):
        model = net(torch.float64)
        before = [p.detach().clone() for p in model.parameters()]
        resp.dp_sgd_step(
            model,
            *[v[:0] for v in points(1, 0, torch.float64)],
            clip=0.5,
            noise=3.0,
            learning_rate=0.2,
            seed=seed,
            batch=6,
        )
        moved.append(
            torch.cat([(p.detach() - b).flatten() for p, b in zip(model.parameters(), before)])
        )
    drawn, size = torch.stack(moved), 0.2 / 6 * 3.0 * 0.5
    count = drawn.numel()
    assert (
        abs(drawn.mean()) < 5 * size / count**0.5
        and abs(drawn.std() / size - 1) < 5 / (2 * count) ** 0.5
    )
    assert not torch.equal(drawn[0], drawn[1])


def test_steps_depend_on_the_seed_alone_and_leave_the_random_state():
    x, y = points()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    made = []
    for _ in range(2):
        model = net(dropout=0.3)
        copies = resp.dp_fit(model, x, y, 4, 3, 1.0, 1.0, 0.1, seed=2, stops=(2, 4))
        torch.rand(3)
        made.append((model, copies))
    torch.set_rng_state(state)
    net(), resp.dp_fit(net(), x, y, 2, 3, 1.0, 1.0, 0.1)
    assert torch.equal(state, torch.get_rng_state())
    (a, (a_2, a_4)), (b, _) = made
    same = [torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters())]
    assert all(same) and not a.training and len(made[0][1]) == 2
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), a_4.parameters()))
    assert not torch.equal(next(a.parameters()), next(a_2.parameters()))


def test_frozen_parameters_stay_and_the_mode_too():
    model, (x, y) = net(), points()
    model[1].requires_grad_(False)
    before = model[1].weight.clone()
    resp.dp_sgd_step(model.eval(), x, y, 1.0, 1.0, 0.1, seed=0)
    assert torch.equal(model[1].weight, before) and not model.training


@pytest.mark.parametrize(
    "change",
    [{"clip": 0}, {"clip": float("nan")}, {"noise": -1}, {"learning_rate": 0}, {"batch": 0}],
)
def test_bad_steps_are_refused(change):
    with pytest.raises(ValueError, match="clip, noise"):
        resp.dp_sgd_step(
            net(),
            *points(),
            **{"clip": 1.0, "noise": 1.0, "learning_rate": 0.1, "seed": 0} | change,
        )
    mixed = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5))
    with pytest.raises(ValueError, match="batch normalisation"):
        resp.dp_sgd_step(mixed, *points(), 1.0, 1.0, 0.1, seed=0)
    with pytest.raises(ValueError, match="batch"):
        resp.dp_fit(net(), *points(), 1, 13, 1.0, 1.0, 0.1)


# ---------------------------------------------------------------- the accountant


@pytest.mark.parametrize(
    ("order", "rate", "noise"),
    [(2, 0.01, 1.0), (5, 0.1, 2.0), (3, 0.5, 0.8), (16, 0.05, 4.0), (4, 1.0, 1.5)],
)
def test_the_divergence_is_its_integral(order, rate, noise):
    """(1 - q) N(0, s^2) + q N(1, s^2) against N(0, s^2): E over the latter of the ratio to the
    power a.
    """

    def powered(z):
        ratio = 1 - rate + rate * math.exp((2 * z - 1) / (2 * noise**2))
        return stats.norm.pdf(z, scale=noise) * ratio**order

    centre = order  # where the mass of the largest term lies
    value, _ = integrate.quad(
        powered, -12 * noise, centre + 12 * noise, points=[0, centre], limit=400
    )
    assert resp.renyi_divergence(order, rate, noise) == pytest.approx(
        math.log(value) / (order - 1), rel=1e-6
    )


@pytest.mark.parametrize(
    ("noise", "rate", "steps"),
    [
        (1.0, 256 / 20000, 600),
        (1.1, 256 / 60000, 14062),
        (2.0, 0.1, 100),
        (0.7, 0.05, 200),
        (4.0, 0.01, 10000),
        (1.0, 1.0, 1),
    ],
)
@pytest.mark.parametrize("delta", [1e-5, 1e-3])
def test_epsilon_is_that_of_opacus(noise, rate, steps, delta):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rdp = pytest.importorskip("opacus.accountants.analysis.rdp")
        spent = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=privacy.ORDERS)
        expected, _ = rdp.get_privacy_spent(orders=privacy.ORDERS, rdp=spent, delta=delta)
    assert resp.epsilon(noise, rate, steps, delta) == pytest.approx(expected, rel=1e-9)


def test_the_page_shows_what_opacus_says_and_is_never_below_it():
    pytest.importorskip("opacus")
    theirs = measure.accountant()
    assert data.measured("accountant") == theirs, "run python tools/measure.py accountant"
    page = json.loads((ROOT / "chapters" / "responsibility.ipynb").read_text())
    shown = next(
        "".join(output["data"]["text/plain"])
        for cell in page["cells"]
        for output in cell.get("outputs", [])
        if "400 steps, Opacus" in "".join(output.get("data", {}).get("text/plain", ""))
    )
    rows = [[float(v) for v in line.split()[1:]] for line in shown.splitlines()[2:]]
    assert [row[1::2] for row in rows] == [[round(value, 2) for value in row] for row in theirs]
    for noise, row in zip(measure.NOISES, theirs):
        for steps, expected in zip(measure.STEPS, row):
            ours = resp.epsilon(noise, measure.RATE, steps, measure.DELTA)
            assert expected - 1e-4 <= ours and (noise < 2 or ours <= 1.01 * expected)


def test_languages_are_counted_by_the_published_tokenizers():
    """Where the texts are at hand, all of them again."""
    if not (Path(os.environ.get("BOOK_DATA", "")) / "udhr" / "udhr.json.gz").exists():
        pytest.skip("the texts are not in the folder BOOK_DATA")
    assert measure.languages() == data.measured("languages")


@pytest.mark.parametrize("noise", [0.7, 1.0, 2.0, 5.0])
def test_epsilon_is_never_below_the_exact_one_of_a_single_gaussian(noise):
    """One full-batch step is the Gaussian mechanism, whose exact delta is known (Balle and Wang,
    2018, theorem 8).
    """
    e = resp.epsilon(noise, 1.0, 1)
    exact = stats.norm.cdf(0.5 / noise - e * noise) - math.exp(e) * stats.norm.cdf(
        -0.5 / noise - e * noise
    )
    assert 1e-8 < exact <= 1e-5


@given(st.floats(0.6, 8), st.floats(0.001, 0.5), st.integers(1, 2000))
@settings(max_examples=30, deadline=None)
def test_more_noise_fewer_steps_and_fewer_people_a_step_reveal_less(noise, rate, steps):
    e = resp.epsilon(noise, rate, steps)
    assert e >= 0 and resp.epsilon(1.1 * noise, rate, steps) <= e <= resp.epsilon(
        noise, rate, steps + 1
    )
    assert resp.epsilon(noise, rate / 2, steps) <= e <= resp.epsilon(noise, rate, steps, delta=1e-7)


@pytest.mark.parametrize("target", [0.3, 1.0, 4.0, 20.0])
def test_the_noise_for_an_epsilon_is_the_smallest(target):
    noise = resp.noise_for(target, 0.1, 200, 1e-4)
    assert (
        resp.epsilon(noise, 0.1, 200, 1e-4) <= target < resp.epsilon(noise * 0.999, 0.1, 200, 1e-4)
    )


def test_the_bound_on_the_advantage():
    assert resp.advantage_bound(0, 0) == 0 and resp.advantage_bound(0, 0.1) == pytest.approx(0.1)
    for e, d in ((0.1, 0.0), (1.0, 1e-5), (3.0, 0.01), (800.0, 0.1)):
        x = math.exp(-e)
        assert resp.advantage_bound(e, d) == pytest.approx((1 - x + 2 * d * x) / (1 + x))
    for e in (0.5, 2.0):  # randomised response reaches it
        p = math.exp(e) / (1 + math.exp(e))
        assert resp.advantage_bound(e, 0) == pytest.approx(p - (1 - p))


def test_no_private_training_is_beaten_by_more_than_the_bound():
    d = data.digits()
    gaps = []
    for seed in range(3):
        model = models.mlp(64, (16,), 10, seed=seed)
        resp.dp_fit(model, d.x_train[:300], d.y_train[:300], 60, 60, 0.5, 2.0, 2.0, seed)
        gaps.append(
            resp.membership_inference(
                model, d.x_train[:300], d.y_train[:300], d.x_train[300:600], d.y_train[300:600]
            ).advantage
        )
    bound = resp.advantage_bound(resp.epsilon(2.0, 0.2, 60))
    assert sum(gaps) / 3 < bound + 5 * (0.5 / 300 / 3) ** 0.5


@pytest.mark.parametrize(
    "wrong", [(-1, 0.1, 1), (1, 0, 1), (1, 1.1, 1), (1, 0.1, 0), (1, 0.1, 1, 0), (1, 0.1, 1, 1)]
)
def test_bad_accounts_are_refused(wrong):
    with pytest.raises(ValueError, match="noise, rate"):
        resp.epsilon(*wrong)
    for call in (
        lambda: resp.noise_for(0, 0.1, 1),
        lambda: resp.advantage_bound(-1),
        lambda: resp.advantage_bound(1, 2),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()


# ---------------------------------------------------------------- energy


def test_energy_counts_work_and_not_sleep():
    with resp.measure_energy(watts=20.0, grams_per_kwh=500.0) as asleep:
        time.sleep(0.2)
    start = time.process_time()
    with resp.measure_energy(watts=20.0, grams_per_kwh=500.0) as awake:
        while time.process_time() - start < 0.1:
            pass
    assert asleep.seconds < 0.05 and 0.09 < awake.seconds < 0.3
    assert awake.watt_hours == pytest.approx(
        20 * awake.seconds / 3600
    ) and awake.grams == pytest.approx(awake.watt_hours / 2)


def test_energy_is_counted_also_when_the_block_fails_and_bad_numbers_are_refused():
    used = resp.measure_energy()
    with pytest.raises(ZeroDivisionError), used:
        math.sqrt(sum(random.random() for _ in range(10_000))) / 0
    assert used.seconds > 0
    for wrong in (
        {"watts": -1},
        {"watts": float("nan")},
        {"grams_per_kwh": -1},
        {"grams_per_kwh": float("inf")},
    ):
        with pytest.raises(ValueError, match="watts, grams"):
            resp.measure_energy(**wrong)


# ---------------------------------------------------------------- promises


def notebook(tmp_path, *outputs, head="# T", alt=None):
    cells = [{"cell_type": "markdown", "source": [head], "metadata": {}}]
    for html in outputs:
        image = {"image/png": "x"} if html is None else {"text/html": html}
        cells.append(
            {
                "cell_type": "code",
                "source": "",
                "metadata": {"mystnb": {"image": {"alt": alt}}} if alt else {},
                "outputs": [{"data": image}],
            }
        )
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    return resp.promises(path)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://a.b/c.js"></script>',
        "<img alt='x' src=//a.b/c.png>",
        '<link rel="stylesheet" href="http://a.b">',
        "@import 'x'",
        "background: url(https://a.b)",
        "fetch ('x')",
        "navigator.sendBeacon('x')",
        "new XMLHttpRequest()",
        '<iframe src="https://a.b">',
        '<form action="https://a.b">',
    ],
)
def test_what_asks_a_server_is_counted(tmp_path, html):
    assert notebook(tmp_path, html).requests == 1


def test_links_and_own_data_are_no_requests(tmp_path):
    kind = notebook(
        tmp_path,
        (
            '<a href="https://a.b">x</a><img alt="a b c d e f" '
            'src="data:image/png;base64,iVBORw//a"> <svg xmlns="http://www.w3.org/2000/svg">'
        ),
        "localStorage.x",
    )
    assert (kind.requests, kind.kept, kind.pictures, kind.described) == (0, 1, 1, 1)


def test_descriptions_and_energy_are_read(tmp_path):
    head = (
        "# T\n\n*The notebook runs in about 30 seconds on one processor core; at 15 W this "
        "is 0.13 Wh.*"
    )
    found = notebook(
        tmp_path,
        None,
        '<img src="data:x" alt="too short">',
        head=head,
        alt="six words say what is seen",
    )
    assert (found.pictures, found.described, found.seconds, found.watts, found.watt_hours) == (
        2,
        1,
        30,
        15,
        0.13,
    )
    assert notebook(tmp_path, None).seconds is None
    assert (
        notebook(
            tmp_path,
            head="It runs in about 2 minutes on one processor core; at 15 W this is 0.5 Wh.",
        ).seconds
        == 120
    )


@pytest.mark.parametrize(
    "path", sorted((ROOT / "chapters").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_chapters_keep_the_promises(path):
    found = resp.promises(path)
    assert found.described == found.pictures and found.requests == found.kept == 0
    # the head says seconds as a person would
    rounding = 30 if found.seconds >= 100 else 2.5 if found.seconds >= 10 else 0.5
    assert found.watt_hours == pytest.approx(
        found.watts * found.seconds / 3600, abs=found.watts * rounding / 3600 + 0.0051
    )
