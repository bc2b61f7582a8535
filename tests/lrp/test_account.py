"""The account of an explanation: warnings, biases that are shared, conditions on channels."""

import warnings

import pytest
import torch
from drawn import drawn
from torch import nn

from lib.engine import NoRuleError
from lib.lrp import (
    AlphaBeta,
    Epsilon,
    Gamma,
    RelevanceWarning,
    Zero,
    ZPlus,
    contribution_propagation,
    lrp,
)


class Residual(nn.Module):
    """Convolutions with batch normalisation, one of them alone, and a residual sum."""

    def __init__(self):
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.bn1, self.conv1 = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1)
        self.conv2, self.bn2 = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = self.bn0(self.stem(x)).relu()
        x = x + self.bn2(self.conv2(self.conv1(self.bn1(x).relu()).relu()))
        return self.head(x.relu().mean((2, 3)))


def brought(seed=0):
    torch.manual_seed(seed)
    model = Residual().double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.running_mean, module.bias):
                    values.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 1.5)
    return model.eval(), torch.rand(3, 3, 8, 8, dtype=torch.float64)


# ---------------------------------------------------------------- warnings


def cancelling():
    """A network whose first map's contributions cancel to the 100,000th part."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)).double()
    model[0].weight.data = torch.tensor([[1.0, -1.0 + 1e-5]]).double()
    model[1].weight.data.fill_(1.0)
    return model, torch.ones(1, 2, dtype=torch.float64)


def test_relevance_a_thousand_times_the_score_is_said_with_the_layer_and_a_remedy():
    model, x = cancelling()
    with pytest.warns(RelevanceWarning, match=r"2e\+05 times .* at '0' \(linear, rule Zero.*Gamma"):
        lrp(model, x, 0, Zero())


def test_the_layer_is_named_by_its_path_also_where_no_weight_is():
    class Block(nn.Module):
        def forward(self, h):
            return h[:, :1] - (1 - 1e-5) * h[:, 1:]

    model = nn.Sequential(nn.Identity(), nn.ModuleDict({"deep": Block()})["deep"])
    with pytest.warns(RelevanceWarning, match=r"at '1' \(sub\)"):
        lrp(model, torch.ones(1, 2, dtype=torch.float64), 0)


def test_a_score_that_biases_absorb_is_said_with_the_layer_and_a_remedy():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    for p, value in zip(model.parameters(), (0.01, 5.0, 1.0, 0.0)):
        p.data.fill_(value)
    x = torch.ones(1, 2, dtype=torch.float64)
    with pytest.warns(RelevanceWarning, match=r"99.6% .* most was absorbed at '0' .*share"):
        lrp(model, x, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lrp(model, x, 0, biases="share").sum().item() == pytest.approx(model(x).item())


def test_the_warning_points_at_the_call_and_can_be_hidden_alone():
    model, x = cancelling()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        lrp(model, x, 0, Zero())
    assert [w.filename for w in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=RelevanceWarning)
        lrp(model, x, 0, Zero())


def test_an_ordinary_explanation_and_a_score_of_zero_are_silent():
    model, x = brought()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lrp(model, x, int(model(x)[0].abs().argmax()), "epsilon_gamma_box", biases="share")
        lrp(nn.Sequential(nn.ReLU()), -torch.ones(1, 2), 0)


def test_contributions_beyond_the_dtype_are_an_error_that_names_the_layer():
    layers = [nn.Linear(2, 2) for _ in range(12)]
    for layer in layers:  # the inputs' parts cancel, the bias makes the output
        layer.weight.data = torch.tensor([[1.0, -1.0 + 1e-5], [1.0 - 1e-5, -1.0]])
        layer.bias.data.fill_(1.0)
    model = nn.Sequential(*layers, nn.Linear(2, 1))
    with pytest.raises(
        ValueError,
        match=r"model: relevance grows beyond what torch.float32 can hold, most at '\d+'",
    ):
        contribution_propagation(model, torch.ones(1, 2), 0)
    with pytest.warns(RelevanceWarning, match="times the score"):
        contribution_propagation(nn.Sequential(*layers[:2]), torch.ones(1, 2), 0)


# ---------------------------------------------------------------- biases


@pytest.mark.parametrize("rule", [Zero(), Epsilon(1e-9), Gamma(0.25), ZPlus()], ids=str)
def test_shared_biases_conserve_and_the_account_says_how_much_was_shared(rule):
    model, x = brought()
    score = model(x)[:, 1].detach()
    relevance, account = lrp(model, x, 1, rule, return_layers=True, biases="share")
    total = relevance.flatten(1).sum(1)
    torch.testing.assert_close(total + sum(line.absorbed for line in account), score)
    assert ((total - score).abs() <= 0.1 * score.abs()).all()
    assert any(line.shared.abs().sum() > 0 for line in account)
    plain, account = lrp(model, x, 1, rule, return_layers=True)
    assert torch.equal(plain, lrp(model, x, 1, rule)) and not any(
        line.shared.any() for line in account
    )


@pytest.mark.parametrize(
    "rule", [Zero(), Epsilon(0.1), Gamma(0.25), AlphaBeta(2, 1), ZPlus()], ids=str
)
@pytest.mark.parametrize("kind", ["dense", "convolution", "folded", "alone"])
def test_what_a_bias_keeps_is_what_the_rule_absorbs(rule, kind):
    """Of Zero to ZPlus, at a single map: R - sum_i R_i for every neuron, with eps apart."""
    torch.manual_seed(1)
    model = {
        "dense": lambda: nn.Linear(4, 3),
        "convolution": lambda: nn.Conv1d(2, 3, 2),
        "folded": lambda: nn.Sequential(nn.Conv1d(2, 3, 2, bias=False), nn.BatchNorm1d(3)),
        "alone": lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)),
    }[kind]()
    shape = {"dense": (5, 4), "convolution": (5, 2, 4), "folded": (5, 2, 4), "alone": (5, 3, 3)}
    norm = model[1] if isinstance(model, nn.Sequential) else None
    if norm is not None:
        norm.running_mean.normal_(), norm.bias.data.normal_()
    model, x = (
        nn.Sequential(model, nn.Flatten()).double().eval(),
        torch.randn(*shape[kind]).double(),
    )
    if kind == "alone":
        x = x.abs() + 0.1
    for target in range(model(x).shape[1]):
        relevance, account = lrp(model, x, target, rule, return_layers=True)
        shared = lrp(model, x, target, rule, return_layers=True, biases="share")[1]
        kept, absorbed = (sum(line.shared for line in shared), sum(l.absorbed for l in account))
        if isinstance(rule, AlphaBeta):  # a side that a neuron does not have is absorbed as well
            two_sided = (absorbed - kept).abs() < 1e-9
            assert two_sided.any() or kind == "alone"
            continue
        if isinstance(rule, Epsilon):
            z = model(x)[:, target].detach()
            kept = kept + 0.1 * z.sign() * z / (z + 0.1 * z.sign())
        if isinstance(rule, ZPlus):  # and where nothing is positive
            positive = relevance.flatten(1).sum(1) != 0
            kept, absorbed = kept[positive], absorbed[positive]
        torch.testing.assert_close(kept, absorbed)


def test_shares_are_in_proportion_to_the_size_of_the_contributions():
    model = nn.Linear(3, 1).double()
    model.weight.data = torch.tensor([[1.0, -2.0, 0.0]]).double()
    model.bias.data.fill_(6.0)
    x = torch.ones(1, 3, dtype=torch.float64)
    torch.testing.assert_close(
        lrp(model, x, 0, Zero(), biases="share"), torch.tensor([[1 + 2.0, -2 + 4.0, 0]]).double()
    )


def test_biases_is_one_of_two_words():
    with pytest.raises(ValueError, match="biases: expected 'absorb' or 'share', got True"):
        lrp(*brought(), biases=True)


# ---------------------------------------------------------------- conditions


def test_conditions_on_all_channels_one_by_one_add_up_to_the_whole():
    model, x = brought()
    whole = lrp(model, x, 1)
    parts = [lrp(model, x, 1, conditions={"conv1": channel}) for channel in range(6)]
    rest = lrp(model, x, 1, conditions={"conv1": []})  # what goes past it
    torch.testing.assert_close(sum(part - rest for part in parts) + rest, whole)
    torch.testing.assert_close(lrp(model, x, 1, conditions={"conv1": range(6)}), whole)


def test_a_condition_is_relevance_through_a_channel_alone():
    """Where there is one way only: the network with the other channels' weights set to 0 above."""
    model = drawn(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3, bias=False)
        )
    )
    x = torch.rand(2, 2, 4, dtype=torch.float64)
    relevance, account = lrp(
        model, x, 2, Zero(), return_layers=True, conditions={"0": [1, 3], "3": 2}
    )
    torch.testing.assert_close(
        relevance.flatten(1).sum(1) + sum(line.absorbed for line in account),
        model(x)[:, 2].detach(),
    )
    without = model[3].weight.detach().clone().view(3, 4, 3)
    without[:, [0, 2]] = 0
    model[3].weight.data = without.view(3, 12)
    torch.testing.assert_close(relevance, lrp(model, x, 2, Zero()))


def test_a_condition_holds_at_the_batch_normalisation_of_a_convolution():
    model, x = brought()
    parts = [lrp(model, x, 1, conditions={"stem": channel}) for channel in range(6)]
    torch.testing.assert_close(sum(parts), lrp(model, x, 1))


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"nowhere": 0}, "expected paths among .*'conv1'.*, got 'nowhere'"),
        ({"conv1": 6}, r"expected channels in 0\.\.5 at 'conv1', got 6"),
        ({"conv1": [0.5]}, r"expected channels in 0\.\.5"),
        ({"conv1": -1}, r"expected channels in 0\.\.5"),
    ],
)
def test_conditions_that_name_nothing_are_refused(conditions, message):
    with pytest.raises(ValueError, match=f"conditions: {message}"):
        lrp(*brought(), conditions=conditions)


# ---------------------------------------------------------------- out of sight


def test_scripted_and_exported_models_are_refused_with_what_to_do():
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.rand(1, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted, part = torch.jit.script(model), torch.jit.script(model[0])
        exported = torch.export.export(model.eval(), (x,)).module()
    with pytest.raises(ValueError, match="it is compiled by torch.jit.*that it was made from"):
        lrp(scripted, x)
    with pytest.raises(ValueError, match="the module '1' is compiled by torch.jit"):
        lrp(nn.Sequential(nn.ReLU(), part), x)
    with pytest.raises(NoRuleError, match="exported program: explain the module"):
        lrp(exported, x)


def test_nothing_that_arrives_at_an_operation_without_a_rule_is_no_matter():
    class Dead(nn.Module):
        def forward(self, h):
            return h + h.cumprod(1).relu() * 0.0

    model, x = nn.Sequential(nn.Linear(3, 3), Dead()).double(), torch.rand(2, 3).double()
    relevance, account = lrp(model, x, 1, Zero(), return_layers=True)
    torch.testing.assert_close(relevance, lrp(model[0], x, 1, Zero()))
    dead = [line for line in account if line.operation == "cumprod"]
    assert all(not line.absorbed.any() for line in dead)
