"""Networks for tests: made from functions, their parameters drawn from a seed."""

import torch
from torch import nn

from lib import models


def drawn(make, seed=0, dtype=torch.float64):
    """The module that `make` builds, its random parameters drawn from the seed, in evaluation
    mode.
    """
    with models.seeded(seed):
        model = make().to(dtype)
        for m in model.modules():
            if isinstance(m, nn.modules.batchnorm._BatchNorm):
                for tensor, low in (
                    (m.weight, 0.5),
                    (m.bias, -0.5),
                    (m.running_mean, -0.5),
                    (m.running_var, 0.5),
                ):
                    if tensor is not None:
                        nn.init.uniform_(tensor, low, low + 1)
    return model.eval()


class Net(nn.Module):
    """A module around a function of itself and x, with the given parts."""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)
