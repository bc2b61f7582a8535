"""The chapter: its equations on random input, the numbers of its prose."""

import pytest
import torch
from equations import check_covered, check_numbers, recomputes

from lib.skeleton import share


@recomputes("skeleton", "equation")
@pytest.mark.parametrize("seed", range(3))
def test_each_number_gets_its_part(seed):
    a = torch.rand(5, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(share(a) * a.sum(), a)


def test_every_equation_is_recomputed():
    check_covered("skeleton")


def test_every_number_is_shown_or_explained():
    check_numbers("skeleton", {})
