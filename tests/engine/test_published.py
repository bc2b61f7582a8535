"""Relevance through architectures that nobody here wrote (`published`): a dozen quick ones in every
run, all of them in `make test-full`.

What can be known without knowing the network: the account closes; relevance does not depend on the
batch; where the network is linear piece by piece, LRP-0 is gradient × input; what has no rule is
refused by its name. Numbers of all of them: `benchmarks/zoo.md`.
"""

import copy
from functools import cached_property

import pytest
import torch
from conftest import ROOT
from engine.published import (
    ARCHITECTURES,
    BY_NAME,
    LARGER,
    NOT_DOUBLE,
    REFUSED,
    TIMM,
    TRANSFORMERS,
    attends,
    bring,
    operations,
    outcome,
)

from lib.lrp import COMPOSITES, Zero, lrp
from lib.sensitivity import gradient, gradient_x_input

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore")

QUICK = """
    regnetx_002 lcnet_050 convnext_atto vit_tiny_patch16_224
    BertForSequenceClassification GPT2ForSequenceClassification LlamaForSequenceClassification
    Mamba2Model SwinForImageClassification LevitForImageClassification ResNetForImageClassification
    MobileNetV2ForImageClassification Wav2Vec2ForSequenceClassification
""".split()

# A network of these operations alone is linear wherever no ReLU and no maximum changes its mind.
LINEAR = set(
    (
        "conv1d conv2d conv3d conv2d+batch_norm linear batch_norm matmul add mean sum avg_pool2d "
        "adaptive_avg_pool2d interpolate relu dropout contiguous clone float to"
    ).split()
)
PIECEWISE_LINEAR = set(
    (
        "resnet18 resnet50 resnetv2_50 resnext50_32x4d res2net50_26w_4s densenet121 vgg11_bn "
        "inception_v3 regnetx_002 repvgg_a0 dla34 hrnet_w18_small selecsls42 vovnet39a "
        "ResNetForImageClassification TextNetForImageClassification"
    ).split()
)


class Brought:
    """A network, its input, and what has been computed of it once for several tests."""

    def __init__(self, architecture):
        self.name, self.architecture = architecture.name, architecture
        self.model, self.x = bring(architecture)
        self.known = {}

    @property
    def one(self):
        return self.x[:1]

    @cached_property
    def double(self):
        model = copy.deepcopy(self.model).double()
        return model, self.x.double() if self.x.is_floating_point() else self.x

    @cached_property
    def steps(self):
        """Operation and family of each step, without the tensors; nothing where it is refused."""
        if self.name in REFUSED:
            return []
        return [(step.operation, step.family) for step in operations(self.model, self.one)]

    def outcome(self, rules):
        if rules not in self.known:
            self.known[rules] = outcome(self.model, self.one, rules)
        return self.known[rules]

    @property
    def composites(self):
        through_gates = attends(operation for operation, _ in self.steps)
        return [name for name in COMPOSITES if name != "attn_lrp" or through_gates]

    @property
    def piecewise_linear(self):
        return bool(self.steps) and all(
            family == "route" or operation in LINEAR for operation, family in self.steps
        )


def rows(architectures):
    return [
        pytest.param(a, id=a.name, marks=() if a.name in QUICK else pytest.mark.slow)
        for a in architectures
    ]


@pytest.fixture(scope="module", params=rows(ARCHITECTURES))
def brought(request):
    return Brought(request.param)


def test_lrp_zero_closes_its_account_in_double_precision(brought):
    if brought.name in NOT_DOUBLE:
        return  # its operations know no double precision: refused, as the next test says
    model, x = brought.double
    result = outcome(model, x[:1], Zero())
    assert result.refused == REFUSED.get(brought.name, "")
    if not result.refused:
        assert result.finite
        # 1e-6: some compute a part of their constants, or their whole attention, in single;
        # 1e-15: what double precision can tell apart where |R| is larger by far than the score
        assert result.gap < max(1e-6 / max(1, result.size), 1e-15)


def test_composites_give_finite_relevance_whose_account_closes(brought):
    for rules in brought.composites:
        result = brought.outcome(rules)
        assert result.refused == REFUSED.get(brought.name, ""), rules
        if not result.refused:
            assert result.finite and result.size > 0, rules
            assert result.gap < 1e-3, rules


def test_relevance_stays_of_the_size_of_the_score_or_it_is_said(brought):
    for rules in brought.composites:
        result = brought.outcome(rules)
        if result.refused:
            continue
        assert result.warned == (result.size > 1000 or abs(1 - result.share) > 0.9), rules
        if rules == "epsilon_gamma_box":
            assert result.size <= LARGER.get(brought.name, 2)


def test_the_network_and_the_input_are_left_as_they_were(brought):
    model, x = brought.model, brought.one
    before, given, state = copy.deepcopy(model.state_dict()), x.clone(), torch.get_rng_state()
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    outcome(model, x, "epsilon_plus")
    assert torch.equal(x, given) and not x.requires_grad and not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert torch.equal(torch.get_rng_state(), state)


def test_where_it_is_linear_piece_by_piece_lrp_zero_is_gradient_x_input(brought):
    if brought.name in PIECEWISE_LINEAR:
        assert brought.piecewise_linear
    if brought.piecewise_linear:
        model, x = brought.double
        torch.testing.assert_close(
            lrp(model, x[:1], None, Zero()), gradient_x_input(model, x[:1]), rtol=1e-6, atol=1e-9
        )


@pytest.mark.parametrize("brought", rows(BY_NAME[name] for name in QUICK), indirect=True)
def test_relevance_does_not_depend_on_the_batch(brought):
    model, x = brought.double
    for rules in brought.composites:
        together, alone = lrp(model, x, None, rules), lrp(model, x[1:], None, rules)
        # some compute a part in single precision
        torch.testing.assert_close(
            together[1:], alone, rtol=1e-6, atol=1e-6 * alone.abs().max().item()
        )


def test_the_gradient_of_one_input_is_that_in_a_batch(brought):
    """In some layouts of the gradient torch 2.13 errs behind a batch normalisation, for one input
    alone: LeViT, XCiT and others met it.
    """
    model, x = brought.model, brought.x
    if x.is_floating_point():
        together, alone = gradient(model, x, 0)[1:], gradient(model, x[1:], 0)
        assert (together - alone).abs().max() <= 0.01 * alone.abs().max()


def test_the_table_has_each_name_once_and_knows_all_that_is_said_of_it():
    assert len(BY_NAME) == len(TIMM) + len(TRANSFORMERS) >= 75
    assert BY_NAME.keys() >= {*QUICK, *REFUSED, *LARGER, *NOT_DOUBLE, *PIECEWISE_LINEAR}


def test_the_report_has_a_row_for_each_and_says_what_is_refused():
    text = (ROOT / "benchmarks" / "zoo.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| timm", "| tr"))]
    made = "it is old: `make zoo` writes it"
    assert {row[1] for row in rows} == BY_NAME.keys(), made
    refused = {row[1]: row[-2].replace("`", "") for row in rows}
    assert {name: what for name, what in refused.items() if what} == REFUSED, made
