"""The checks of the exercises on applications: see `students.judged` for what a row is."""

import torch
from sklearn.metrics import roc_auc_score
from students import judged

ratio = lambda R, m: (R * ~m).sum((1, 2)) / (R * m).sum((1, 2))
plus = lambda R: R.clamp(min=0).sum(1)
minus = lambda R: -R.clamp(max=0).sum(1)
safe = lambda share: torch.nan_to_num(share, nan=0.0, posinf=0.0, neginf=0.0)


def within(R, boxes):
    y, x = torch.arange(R.shape[1])[:, None], torch.arange(R.shape[2])
    left, top, right, bottom = boxes.T[:, :, None, None]
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def words_one_hot(R, words, V):
    hot = torch.nn.functional.one_hot(words, V).to(R.dtype)
    scores = torch.einsum("ntd,ntv->v", R, hot) / hot.sum((0, 1)).clamp(min=1)
    return torch.cat([torch.zeros(1, dtype=R.dtype), scores[1:]])


def mass_einsum(R, mask):
    inside = torch.einsum("snhw,nhw->sn", R.abs(), mask.to(R.dtype))
    return (inside / R.abs().flatten(2).sum(2).clamp(min=1e-30)).mean(1)


def auc_sign(R, truth):
    beats = (R[:, :, None] - R[:, None]).sign() / 2 + 0.5
    pairs = truth[:, :, None] & ~truth[:, None]
    return (beats * pairs).sum((1, 2)) / pairs.sum((1, 2))


ANSWERS = {
    "topic_relevance": [
        "torch.zeros(len(R), K + 1, dtype=R.dtype).scatter_add(1, topics + 1, R)[:, 1:]",
        'torch.einsum("nt,ntk->nk", R, F.one_hot(topics + 1, K + 1)[..., 1:].to(R.dtype))',
        ("topic_relevance(R, topics % K, K)", "padding .* last topic"),
        ("topic_relevance(R, topics.clamp(min=0), K)", "padding .* first topic"),
        ("topic_relevance(R.abs(), topics, K)", "absolute values"),
        ("topic_relevance(R.clamp(min=0), topics, K)", "negative relevance is left out"),
        ("right / topic_relevance(torch.ones_like(R), topics, K).clamp(min=1)", "averaged"),
        ("topic_relevance(torch.ones_like(R), topics, K)", ""),
        ("torch.zeros(len(R), K + 1, dtype=R.dtype).scatter(1, topics + 1, R)[:, 1:]", ""),
        ("right.mean(0).expand(len(R), -1)", "of its own"),
    ],
    "word_scores": [
        "[R.sum(2)[words == v].mean() if v and (words == v).any() else 0 for v in range(V)]",
        words_one_hot,
        ("total / torch.bincount(flat, minlength=V).clamp(min=1)", "total", "added up"),
        ("scores[0] = 0", "pass", "padding"),
        ("word_scores(R.abs(), words, V)", "absolute"),
        ("sum(2)", "mean(2)", "averaged"),
        ("word_scores(R[..., :1], words, V)", ""),
        ("torch.bincount(flat, minlength=V).clamp(min=1)", "len(R)", "without the word"),
        ("torch.bincount(flat, minlength=V).clamp(min=1)", "len(flat)", ""),
        ("torch.stack([R.sum(2)[words == v].mean() for v in range(V)])", "NaN"),
    ],
    "set_context_use": [
        "R.relu()[~within(R, boxes)].sum() / R.relu()[within(R, boxes)].sum()",
        "(~within(R, boxes) * R.relu()).sum() / (within(R, boxes) * R.relu()).sum()",
        "right.double().numpy()[()]",
        ("ratio(R.relu(), within(R, boxes)).mean()", "add over the set first"),
        ("1 / right", "turned round"),
        ("right / (1 + right)", "divides by all"),
        ("R.clamp(min=0)", "R", "negative relevance takes part"),
        ("R.clamp(min=0)", "R.abs()", "absolute values"),
        ("top:bottom, left:right", "top : bottom + 1, left : right + 1", "exclusive"),
        ("top:bottom, left:right", "left:right, top:bottom", "changed places"),
        ("top:bottom, left:right", "top : top + bottom, left : left + right", ""),
        ("set_context_use(R.sum(0, keepdim=True), boxes[:1])", ""),
    ],
    "evidence_balance": [
        "safe((plus(R) - minus(R)) / (plus(R) + minus(R)))",
        ("torch.where(size > 0, size, 1)", "size.clamp(min=1e-30)", None),
        "[float(r.sum() / r.abs().sum()) if r.any() else 0.0 for r in R]",
        "evidence_balance(R.clone().requires_grad_())",
        ("R.sum(1)", "divide by both"),
        ("safe(plus(R) / (plus(R) + minus(R)))", "share that speaks for"),
        ("safe((minus(R) - plus(R)) / (plus(R) + minus(R)))", "turned round"),
        ("safe((plus(R) - minus(R)) / minus(R))", ""),
        ("safe((plus(R) - minus(R)) / plus(R))", ""),
        ("evidence_balance(R.sign())", "counted"),
        ("R.sum(1) / R.abs().sum(1)", "NaN"),
        ("R.sum(1) / (R.abs().sum(1) + 1e-6)", "added to the denominator"),
        ("right / R.shape[1]", ""),
        ("size > 0", "size > 1e-7", "taken for one of zeros"),
        ("torch.where(size > 0, size, 1)", "size.clamp(min=1e-9)", ""),
    ],
    "mass_by_stage": [
        "torch.nan_to_num((R.abs() * mask).sum((2, 3)) / R.abs().sum((2, 3))).mean(1)",
        mass_einsum,
        ("(R.abs() * mask).sum((1, 2, 3)) / R.abs().sum((1, 2, 3))", "before dividing"),
        ("R.abs()", "R.clamp(min=0)", "only positive"),
        ("torch.nan_to_num((R * mask).sum((2, 3)) / R.sum((2, 3))).mean(1)", "with its sign"),
        ("R.abs()", "R.square()", ""),
        ("size * mask", "size * ~mask", "outside"),
        ("share.mean(1)", "share.sum(1)", ""),
        ("share.mean(1)", "share.mean().expand(len(share))", ""),
        ("(R.abs() * mask).sum((2, 3)).mean(1)", "not divided"),
        ("((R.abs() * mask).sum((2, 3)) / R.abs().sum((2, 3))).nanmean(1)", "left out"),
        ("whole > 0", "whole > 1e-8", "taken for one of zeros"),
        ("torch.where(whole > 0, whole, 1)", "whole.clamp(min=1e-12)", ""),
    ],
    "truth_auc": [
        auc_sign,
        lambda R, truth: [roc_auc_score(t.numpy(), r.numpy()) for r, t in zip(R, truth)],
        ("(a > b).double() + 0.5 * (a == b)", "(a > b).double()", "ties count nothing"),
        ("(a > b).double() + 0.5 * (a == b)", "(a >= b).double()", "ties count in full"),
        ("1 - right", "turned round"),
        ("truth_auc(R.abs(), truth)", "absolute"),
        ("truth_auc(R.clamp(min=0), truth)", "set to 0"),
        ("truth.gather(1, R.argmax(1, keepdim=True))[:, 0] * 1.0", "pointing game"),
        ("r[~t]", "r", ""),
        ("truth_auc(R.flatten()[None], truth.flatten()[None]).expand(len(R))", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
