"""Skeleton of a chapter: the equations recomputed, the bad inputs."""

import pytest
import torch

from lib.skeleton import share


@pytest.mark.parametrize("seed", range(5))
def test_the_shares_are_those_of_a_loop_and_sum_to_one(seed):
    a = torch.rand(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wanted = [value / sum(a.tolist()) for value in a.tolist()]
    assert share(a).tolist() == pytest.approx(wanted) and float(share(a).sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong, error",
    [([1.0], TypeError), (torch.ones(2, 2), ValueError), (torch.zeros(3), ValueError)],
)
def test_bad_input_is_refused(wrong, error):
    with pytest.raises(error, match="a: expected"):
        share(wrong)
