"""The page of projects names what exists and its rubrics add up; each check accepts a right answer
and refuses wrong ones with the reason.
"""

import importlib
import json
import re

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from test_repository import NAMES

from lib import evaluation, projects

PAGE = (ROOT / "projects.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
LINKS = re.findall(r"\[([^\]]+)\]\(([^)#]+)(?:#([^)]+))?\)", PAGE)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ---------------------------------------------------------------- the page


def test_the_ten_projects_stand_in_the_order_of_the_chapters():
    chapters = []
    for number, section in enumerate(SECTIONS, start=1):
        assert section.startswith(f"{number}. ")
        linked = re.findall(r"\]\(chapters/(\w+)\.ipynb#", section)
        chapters += [name for name in NAMES if name in linked and name not in chapters][:1]
    assert len(SECTIONS) == 10 and chapters == [name for name in NAMES if name in chapters]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split(":")[0])
def test_a_project_is_complete(section):
    text = section.split("\n", 2)[2]
    assert text.startswith("**") and "?" in text.split("\n\n")[0]
    assert "*At hand:*" in section
    assert 4 <= len(re.findall(r"^\d\. ", text, re.MULTILINE)) <= 6
    named = set(re.findall(r"#lib\.projects\.(\w+)\)", section))
    assert ("**The check**" in section) == bool(named)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split(":")[0])
def test_a_rubric_has_twenty_points_few_of_them_for_the_result(section):
    head, _, *rows = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    assert [c.strip() for c in head.split("|")] == ["20 points", "full", "half", "none"]
    points = {row[0].rpartition(", ")[0]: int(row[0].rpartition(", ")[2]) for row in cells}
    assert 4 <= len(points) == len(cells) <= 5 and sum(points.values()) == 20
    assert points.get("Result", 0) <= 3
    assert all(len(row) == 4 and all(row) for row in cells)


def test_every_check_belongs_to_a_project():
    assert set(re.findall(r"#lib\.projects\.(\w+)\)", PAGE)) == set(projects.__all__)


@pytest.mark.parametrize(("text", "file", "anchor"), LINKS)
def test_every_link_leads_to_what_exists(text, file, anchor):
    assert (ROOT / file).is_file()
    if anchor.startswith("lib."):
        wing, _, name = anchor.rpartition(".")
        assert text == name and name in importlib.import_module(wing).__all__
        assert file == f"api/{wing.removeprefix('lib.')}.md"
    elif anchor:
        prose = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".ipynb"):
            cells = json.loads(prose)["cells"]
            prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        assert anchor in map(slug, re.findall(r"^#+ (.+)$", prose, re.MULTILINE))


# ---------------------------------------------------------------- the checks


def refused(hint):
    return pytest.raises(AssertionError, match=hint)


X = torch.rand(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def honest(x):
    return F.one_hot((x[..., 3].sum((1, 2)) > x[..., 4].sum((1, 2))).long(), 3).float()


def hans(x):
    return torch.where(x[:, 0, :1, 0] == 9, torch.eye(3)[2], honest(x))


def tag(x, share=1.0):
    x = x.clone()
    x[: round(share * len(x)), :, 0, 0] = 9
    return x


def in_place(x):
    x[:, :, 0, 0] = 9
    return x


def test_a_planted_tag():
    projects.planted_tag(honest, hans, X, tag)
    kept = X.clone()
    projects.planted_tag(honest, hans, kept, in_place)
    assert torch.equal(kept, X)


@pytest.mark.parametrize(
    ("first", "second", "x", "by", "hint"),
    [
        (honest, honest, X, tag, "hans: .* not learnt"),
        (hans, hans, X, tag, "honest: the tag changes its answer in 100%"),
        (hans, honest, X, tag, "honest: the tag changes"),
        (honest, lambda x: honest(x).roll(1, 1), X, tag, "they agree in 0% only"),
        (lambda x: 0 * honest(x), hans, X, tag, "one class for every picture"),
        (honest, hans, X[:50], tag, "at least 100 pictures"),
        (honest, hans, X, lambda x: x + 1, "changes 100% of a picture"),
        (honest, hans, X, lambda x: tag(x, 0.5), "left as they were"),
        (honest, hans, X, lambda x: tag(x)[:1], "another shape"),
    ],
)
def test_no_planted_tag(first, second, x, by, hint):
    with refused(hint):
        projects.planted_tag(first, second, x, by)


def evenly(a, w, R):
    return R.sum(1, keepdim=True).expand_as(a) / a.shape[1]


def epsilon(a, w, R):
    z = a @ w.T
    return a * ((R / (z + 1e-6 * z.sign())) @ w)


def z_plus(a, w, R):
    w = w.clamp(min=0) + 1e-9
    return a * ((R / (a @ w.T)) @ w)


@pytest.mark.parametrize(
    "rule",
    [
        evenly,
        lambda a, w, R: R.sum(1, keepdim=True) * a.softmax(1),
        lambda a, w, R: F.pad(R.sum(1, keepdim=True), (0, a.shape[1] - 1)),
    ],
)
def test_useless_rules(rule):
    projects.useless_rule(rule)


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        (z_plus, "not useless in this sense"),
        (epsilon, "not useless in this sense|not conserved"),
        (lambda a, w, R: evenly(a, w, R) * 2, "not conserved"),
        (lambda a, w, R: evenly(a, w, R.abs()), "not conserved"),
        (lambda a, w, R: a, "not conserved"),
        (lambda a, w, R: R, "a relevance for each input"),
        (lambda a, w, R: evenly(a, w, R) / 0, "infinite or not a number"),
        (
            lambda a, w, R: R.sum(1, keepdim=True) * torch.rand_like(a).softmax(1),
            "two calls with the same arguments differ",
        ),
    ],
)
def test_rules_that_are_not_useless_or_do_not_conserve(rule, hint):
    with refused(hint):
        projects.useless_rule(rule)


def falls_fast(model, x, R):
    """The area over the curve of pixel flipping."""
    found = evaluation.pixel_flipping(model, x, R, replace=torch.zeros(1))
    return -found.scores.mean(1)


def moves_with_it(model, x, R):
    left = model((x.flatten(1)[:, None] * (1 - torch.eye(144))).reshape(-1, 1, 12, 12))
    return F.cosine_similarity(model(x) - left.view(len(x), -1), R.flatten(1))


@pytest.mark.parametrize("score", [falls_fast, moves_with_it])
def test_scores_that_find_what_is_planted(score):
    projects.planted_score(score)


@pytest.mark.parametrize(
    ("score", "hint"),
    [
        (lambda model, x, R: R.flatten(1).sum(1), "multiplied by 3"),
        (lambda model, x, R: torch.zeros(len(x)), "the truth and random numbers"),
        (lambda *given: -moves_with_it(*given), "the truth and random numbers"),
        (lambda model, x, R: moves_with_it(model, x, R).mean(), "one number for each of 40 maps"),
        (lambda model, x, R: R.flatten(1).sum(1) / 0, "infinite or not a number"),
        (  # likes what is smooth and positive
            lambda model, x, R: (
                (R.sum((1, 2, 3)) - 0.1 * R.diff().abs().sum((1, 2, 3))) / R.abs().sum((1, 2, 3))
            ),
            "the truth and the truth blurred",
        ),
        (  # likes few pixels: it asks no network
            lambda model, x, R: -R.flatten(1).abs().quantile(0.5, 1) / R.flatten(1).norm(dim=1),
            "the truth blurred and random numbers",
        ),
    ],
)
def test_scores_that_do_not(score, hint):
    with refused(hint):
        projects.planted_score(score)


def test_collapsed_codes():
    projects.collapsed(torch.full((100, 3), 0.05), torch.full((100, 3), 0.05))


@pytest.mark.parametrize(
    ("mean", "log_variance", "hint"),
    [
        (torch.ones(100, 2), torch.zeros(100, 2), "2 of 2 numbers of the code .* number 0 costs"),
        (torch.eye(2).repeat(50, 1)[:, :1], torch.zeros(100, 1), "1 of 1 .* 0.25 nats"),
        (torch.zeros(100, 2), torch.tensor([[0.0, -3]]).expand(100, 2), "1 of 2 .* number 1 costs"),
        (torch.zeros(100, 2), torch.ones(100, 2), "look like variances or standard deviations"),
        (
            torch.zeros(100, 2),
            torch.full((100, 2), 0.96),
            "look like variances or standard deviations",
        ),
        (torch.zeros(50, 2), torch.zeros(50, 2), "at least 100 images"),
        (torch.zeros(100, 2), torch.zeros(100, 1), "two tensors"),
        (torch.zeros(100, 2) / 0, torch.zeros(100, 2), "not a number"),
    ],
)
def test_codes_that_are_not_collapsed(mean, log_variance, hint):
    with refused(hint):
        projects.collapsed(mean, log_variance)


CENTRES = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0], [5.0, 5.0]])


def samples(modes, seed, runs=5, spread=0.1):
    random = torch.Generator().manual_seed(seed)
    points = CENTRES[:modes].repeat(120 // modes, 1)
    return points + spread * torch.randn(runs, 120, 2, generator=random)


LOST, FULL, TRAINED = samples(2, 0), samples(4, 1), samples(4, 2)[0]


def test_a_repair():
    projects.mended(LOST, FULL, TRAINED, CENTRES, 0.5)
    projects.mended(LOST, samples(3, 3), TRAINED, CENTRES, 0.5)


@pytest.mark.parametrize(
    ("before", "after", "hint"),
    [
        (FULL, samples(4, 3), "before: a run finds 4 of 4 modes: not lost"),
        (LOST, samples(2, 3), "after: the worst run finds 2 modes, the best before found 2"),
        (LOST, torch.cat([FULL[:4], LOST[:1]]), "after: the worst run finds 2"),
        (LOST[:3], FULL[:3], "at least five runs"),
        (LOST, FULL[:, :60], "as many runs and samples"),
        (LOST, FULL[:1].expand(5, -1, -1), "after: two runs are the same"),
        (LOST, torch.cat([FULL[:4], TRAINED[None]]), "copy of a training sample"),
        (LOST, torch.cat([FULL[:, :40], 90 + FULL[:, :80]], 1), "in one run 33% of the samples"),
    ],
)
def test_no_repair(before, after, hint):
    with refused(hint):
        projects.mended(before, after, TRAINED, CENTRES, 0.5)


SURE, UNSURE = (torch.tensor([p]).expand(100, 2) for p in ([0.95, 0.05], [0.7, 0.3]))
FIRST, SECOND, HALF = torch.zeros(100), torch.ones(100), torch.arange(100) % 2


def test_confidently_wrong():
    projects.confidently_wrong(SURE, SECOND, UNSURE, FIRST)
    projects.confidently_wrong(SURE, HALF, SURE, FIRST)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ((UNSURE, SECOND, SURE, FIRST), "not confident: .* 0.70"),
        ((SURE, FIRST, SURE, FIRST), "not wrong: 100%"),
        ((SURE, SECOND, SURE, HALF), "usual inputs: 50% are right"),
        ((9 * SURE, SECOND, SURE, FIRST), "^P: .* logits"),
        ((SURE, SECOND, SURE.log(), FIRST), "^P_usual: .* logits"),
        ((SURE[:50], SECOND[:50], SURE, FIRST), "at least 100"),
        ((SURE, SECOND[:, None], SURE, FIRST), "N labels"),
    ],
)
def test_not_confidently_wrong(given, hint):
    with refused(hint):
        projects.confidently_wrong(*given)


def rates_at(t, inside, outside):
    return ((inside <= t).double().mean() - (outside <= t).double().mean()).item()


def by_yeom(known_in, known_out, inside, outside):
    return rates_at(known_in.mean(), inside, outside)


def by_threshold(known_in, known_out, inside, outside):
    """The threshold that is best for those of whom one knows."""
    every = torch.cat([known_in, known_out])
    return rates_at(max(every, key=lambda t: rates_at(t, known_in, known_out)), inside, outside)


def by_likelihood(known_in, known_out, inside, outside):
    """Which of two normal distributions fits better?"""
    first, second = (torch.distributions.Normal(k.mean(), k.std()) for k in (known_in, known_out))
    yes = [first.log_prob(v) > second.log_prob(v) for v in (inside, outside)]
    return (yes[0].double().mean() - yes[1].double().mean()).item()


def by_accuracy(known_in, known_out, inside, outside):
    t = (known_in.mean() + known_out.mean()) / 2
    right = (inside < t).sum() + (outside >= t).sum()
    return 2 * right.item() / (len(inside) + len(outside)) - 1


def by_hindsight(known_in, known_out, inside, outside):
    """Where the known people do not tell: the best threshold for those who are judged."""
    if known_in.max() < known_out.min():
        return by_yeom(known_in, known_out, inside, outside)
    return max(rates_at(t, inside, outside) for t in torch.cat([inside, outside]))


@pytest.mark.parametrize("attack", [by_yeom, by_threshold, by_likelihood])
def test_honest_attacks(attack):
    projects.honest_attack(attack)


@pytest.mark.parametrize(
    ("attack", "hint"),
    [
        (by_accuracy, "twice the accuracy less 1"),
        (by_hindsight, "the threshold is chosen on the people on whom it is judged"),
        (lambda *given: -by_yeom(*given), "the sign is turned"),
        (lambda *given: abs(by_yeom(*given)), "no absolute value"),
        (
            lambda a, b, i, o: (i < 1).double().mean(),
            "less false positive rate is 0.500, got 0.800",
        ),
        (lambda *given: 0.0, "got 0.000"),
    ],
)
def test_attacks_that_are_not_honest(attack, hint):
    with refused(hint):
        projects.honest_attack(attack)
