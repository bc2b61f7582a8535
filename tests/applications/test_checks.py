"""The checks of the exercises on applications: a row is an answer, to be accepted, or to be refused
with a hint.
"""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from students import accept_and_refuse

# ---------------------------------------------------------------- right answers


def topics_scatter(R, topics, K):
    return torch.zeros(len(R), K + 1, dtype=R.dtype).scatter_add(1, topics + 1, R)[:, 1:]


def topics_one_hot(R, topics, K):
    return torch.einsum(
        "nt,ntk->nk", R, torch.nn.functional.one_hot(topics + 1, K + 1)[..., 1:].to(R.dtype)
    )


def words_loop(R, words, V):
    values = R.sum(-1)
    return torch.stack(
        [
            values[words == v].mean() if v and (words == v).any() else values.new_zeros(())
            for v in range(V)
        ]
    )


def words_one_hot(R, words, V):
    hot = torch.nn.functional.one_hot(words, V).to(R.dtype)
    scores = torch.einsum("ntd,ntv->v", R, hot) / hot.sum((0, 1)).clamp(min=1)
    return torch.cat([torch.zeros(1, dtype=R.dtype), scores[1:]])


def masks_of(R, boxes):
    inside = torch.zeros(R.shape, dtype=torch.bool)
    for m, (left, top, right, bottom) in zip(inside, boxes.tolist()):
        m[top:bottom, left:right] = True
    return inside


def context_masks(R, boxes):
    inside, R = masks_of(R, boxes), R.relu()
    return R[~inside].sum() / R[inside].sum()


def context_grid(R, boxes):
    y, x = torch.arange(R.shape[1])[:, None], torch.arange(R.shape[2])
    left, top, right, bottom = boxes.T[:, :, None, None]
    inside = ((x >= left) & (x < right) & (y >= top) & (y < bottom)) * 1.0
    P = torch.where(R > 0, R, 0)
    return ((1 - inside) * P).sum() / (inside * P).sum()


def balance_abs(R):
    size = R.abs().sum(1)
    return torch.where(size > 0, R.sum(1) / size.clamp(min=1e-30), 0)


def balance_parts(R):
    plus, minus = R.clamp(min=0).sum(1), -R.clamp(max=0).sum(1)
    return torch.nan_to_num((plus - minus) / (plus + minus), nan=0.0)


def mass_nan(R, mask):
    return torch.nan_to_num((R.abs() * mask).sum((2, 3)) / R.abs().sum((2, 3))).mean(1)


def mass_einsum(R, mask):
    inside = torch.einsum("snhw,nhw->sn", R.abs(), mask.to(R.dtype))
    return (inside / R.abs().flatten(2).sum(2).clamp(min=1e-30)).mean(1)


def auc_pairs(R, truth):
    return torch.stack(
        [
            ((r[t][:, None] > r[~t]) + 0.5 * (r[t][:, None] == r[~t])).mean()
            for r, t in zip(R, truth)
        ]
    )


def auc_sign(R, truth):
    beats = (R[:, :, None] - R[:, None]).sign() / 2 + 0.5
    pairs = truth[:, :, None] & ~truth[:, None]
    return (beats * pairs).sum((1, 2)) / pairs.sum((1, 2))


# ---------------------------------------------------------------- wrong answers


def overwrites(R, topics, K):
    out = torch.zeros(len(R), K, dtype=R.dtype)
    for n in range(len(R)):
        out[n, topics[n][topics[n] >= 0]] = R[n][topics[n] >= 0]
    return out


def mean_of_ratios(R, boxes):
    inside, R = masks_of(R, boxes), R.clamp(min=0)
    return ((R * ~inside).sum((1, 2)) / (R * inside).sum((1, 2))).mean()


def changed(change):
    return lambda R, boxes: (
        (change(R) * ~masks_of(R, boxes)).sum() / (change(R) * masks_of(R, boxes)).sum()
    )


def balance(top, bottom):
    def answer(R):
        plus, minus = R.clamp(min=0).sum(1), -R.clamp(max=0).sum(1)
        return torch.nan_to_num(
            top(plus, minus) / bottom(plus, minus), nan=0.0, posinf=0.0, neginf=0.0
        )

    return answer


def mass(change=torch.abs, mean=lambda share: share.mean(1), flip=False):
    def answer(R, mask):
        size, mask = change(R), ~mask if flip else mask
        return mean(torch.nan_to_num((size * mask).sum((2, 3)) / size.sum((2, 3))))

    return answer


def auc(beats, change=lambda R: R):
    return lambda R, truth: torch.stack(
        [beats(r[t][:, None], r[~t]).to(R.dtype).mean() for r, t in zip(change(R), truth)]
    )


def topic_means(R, topics, K):
    count = topics_scatter(torch.ones_like(R), topics, K)
    return topics_scatter(R, topics, K) / count.clamp(min=1)


def with_padding(R, words, V):
    return added(R, words, V) / torch.bincount(words.flatten(), minlength=V).clamp(min=1)


def auc_against_all(R, truth):
    wins = [(r[t][:, None] > r) + 0.5 * (r[t][:, None] == r) for r, t in zip(R, truth)]
    return torch.stack([won.mean() for won in wins])


def added(R, words, V):
    """The sums of each word's relevance."""
    return torch.zeros(V, dtype=R.dtype).index_add(0, words.flatten(), R.sum(2).flatten())


def no_padding(values):
    return values * (torch.arange(len(values)) > 0)


def by_box(change):
    """Another reading of the boxes."""
    return lambda R, boxes: context_masks(R, change(*boxes.T))


def box(*edges):
    return torch.stack(edges, 1)


# ---------------------------------------------------------------- the tables

RIGHT = {
    "topic_relevance": [topics_scatter, topics_one_hot],
    "word_scores": [words_loop, words_one_hot],
    "set_context_use": [context_masks, context_grid, lambda *v: np.float64(context_masks(*v))],
    "evidence_balance": [
        balance_abs,
        balance_parts,
        lambda R: [float(r.sum() / r.abs().sum()) if r.any() else 0.0 for r in R],
        lambda R: balance_abs(R.clone().requires_grad_()),
    ],
    "mass_by_stage": [mass_nan, mass_einsum],
    "truth_auc": [
        auc_pairs,
        auc_sign,
        lambda R, truth: [roc_auc_score(t.numpy(), r.numpy()) for r, t in zip(R, truth)],
    ],
}

WRONG = {
    "topic_relevance": [
        (lambda R, t, K: topics_scatter(R, t % K, K), "padding .* last topic"),
        (lambda R, t, K: topics_scatter(R, t.clamp(min=0), K), "padding .* first topic"),
        (lambda R, t, K: topics_scatter(R.abs(), t, K), "absolute values"),
        (lambda R, t, K: topics_scatter(R.clamp(min=0), t, K), "negative relevance is left out"),
        (topic_means, "averaged"),
        (lambda R, t, K: topics_scatter(torch.ones_like(R), t, K), ""),
        (overwrites, ""),
        (lambda R, t, K: topics_scatter(R, t, K).mean(0).expand(len(R), -1), "of its own"),
    ],
    "word_scores": [
        (lambda *v: no_padding(added(*v)), "added up"),
        (with_padding, "padding"),
        (lambda R, words, V: words_loop(R.abs(), words, V), "absolute"),
        (lambda R, words, V: words_loop(R.mean(2, keepdim=True), words, V), "averaged"),
        (lambda R, words, V: words_loop(R[..., :1], words, V), ""),
        (lambda *v: no_padding(added(*v) / len(v[0])), "without the word"),
        (lambda *v: no_padding(added(*v) / v[1].numel()), ""),
        (lambda R, w, V: torch.stack([R.sum(2)[w == v].mean() for v in range(V)]), "NaN"),
    ],
    "set_context_use": [
        (mean_of_ratios, "add over the set first"),
        (lambda *v: 1 / context_masks(*v), "turned round"),
        (lambda *v: context_masks(*v) / (1 + context_masks(*v)), "divides by all"),
        (changed(lambda R: R), "negative relevance takes part"),
        (changed(torch.abs), "absolute values"),
        (by_box(lambda l, t, r, b: box(l, t, r + 1, b + 1)), "exclusive"),
        (by_box(lambda l, t, r, b: box(t, l, b, r)), "changed places"),
        (by_box(lambda l, t, r, b: box(l, t, l + r, t + b)), ""),
        (lambda R, boxes: context_masks(R.sum(0, keepdim=True), boxes[:1]), ""),
    ],
    "evidence_balance": [
        (lambda R: R.sum(1), "divide by both"),
        (balance(lambda p, m: p, lambda p, m: p + m), "share that speaks for"),
        (balance(lambda p, m: m - p, lambda p, m: p + m), "turned round"),
        (balance(lambda p, m: p - m, lambda p, m: m), ""),
        (balance(lambda p, m: p - m, lambda p, m: p), ""),
        (lambda R: balance_abs(R.sign()), "counted"),
        (lambda R: R.sum(1) / R.abs().sum(1), "NaN"),
        (lambda R: R.sum(1) / (R.abs().sum(1) + 1e-6), "added to the denominator"),
        (lambda R: balance_abs(R) / R.shape[1], ""),
    ],
    "mass_by_stage": [
        (lambda R, m: (R.abs() * m).sum((1, 2, 3)) / R.abs().sum((1, 2, 3)), "before dividing"),
        (mass(lambda R: R.clamp(min=0)), "only positive"),
        (mass(lambda R: R), "with its sign"),
        (mass(torch.square), ""),
        (mass(flip=True), "outside"),
        (mass(mean=lambda share: share.sum(1)), ""),
        (mass(mean=lambda share: share.mean().expand(len(share))), ""),
        (lambda R, mask: (R.abs() * mask).sum((2, 3)).mean(1), "not divided"),
        (lambda R, m: ((R.abs() * m).sum((2, 3)) / R.abs().sum((2, 3))).nanmean(1), "left out"),
    ],
    "truth_auc": [
        (auc(lambda a, b: a > b), "ties count nothing"),
        (auc(lambda a, b: a >= b), "ties count in full"),
        (lambda *v: 1 - auc_pairs(*v), "turned round"),
        (lambda R, truth: auc_pairs(R.abs(), truth), "absolute"),
        (lambda R, truth: auc_pairs(R.clamp(min=0), truth), "set to 0"),
        (lambda R, t: t.gather(1, R.argmax(1, keepdim=True))[:, 0] * 1.0, "pointing game"),
        (auc_against_all, ""),
        (lambda R, t: auc_pairs(R.flatten()[None], t.flatten()[None]).expand(len(R)), ""),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
