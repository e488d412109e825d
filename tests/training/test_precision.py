"""Kernels of matrix products: chosen for the run, restored after it."""

import pytest
import torch
from torch import nn

from anabranch.networks import MLP
from anabranch.objectives import Loss
from anabranch.training import FitOptions, fit
from anabranch.training.precision import keeps_float32, matrix_products


class Spy(nn.Module):
    """Remembers the precision that its steps ran under."""

    def __init__(self, width):
        super().__init__()
        self.network = MLP(2, 1, (width, width))
        self.seen = set()

    def forward(self, batch):
        self.seen.add(torch.get_float32_matmul_precision())
        return Loss(self.network(batch["x"]).square().mean(), {})


@pytest.mark.parametrize("mode", ["auto", "default", "fast"])
@pytest.mark.parametrize("width", [8, 256])
def test_steps_run_in_the_mode_asked_for(mode, width):
    model = Spy(width)
    x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
    fit(model, {"x": x}, options=FitOptions(max_epochs=1, batch_size=256, matmul=mode))
    fast = mode == "fast" or (mode == "auto" and width == 256 and keeps_float32())
    assert model.seen == {"medium" if fast else "highest"}
    assert torch.get_float32_matmul_precision() == "highest"


def test_precision_is_restored_after_an_error():
    with pytest.raises(RuntimeError, match="on purpose"), matrix_products("fast", nn.Module(), 1):
        raise RuntimeError("on purpose")
    assert torch.get_float32_matmul_precision() == "highest"


def test_auto_keeps_float32():
    model, generator = MLP(64, 64, (512,)), torch.Generator().manual_seed(1)
    x = torch.randn(512, 64, generator=generator)
    exact = model.double()(x.double())
    model = model.float()
    with matrix_products("auto", model, 512):
        assert (model(x) - exact).abs().max() < 1e-5


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="matmul must be one of"):
        FitOptions(matmul="quick")
