"""Denormal numbers are zero while a fit runs, and afterwards what they were before."""

import pytest
import torch

from anabranch.objectives import Loss
from anabranch.training import FitOptions, fit
from anabranch.training.denormals import flushed_denormals


def flushed() -> bool:
    return bool(torch.full((1,), 2e-38, dtype=torch.float32) * 1e-2 == 0)


class Watched(torch.nn.Module):
    """Notes the mode of its forward and of its backward pass."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.loc = torch.nn.Parameter(torch.zeros(()))
        self.fails, self.seen = fails, []

    def forward(self, batch: dict[str, torch.Tensor]) -> Loss:
        if self.fails:
            raise RuntimeError("failed")
        self.seen.append(flushed())
        if self.training:
            self.loc.register_hook(lambda _: self.seen.append(flushed()))
        return Loss((batch["x"] - self.loc).square().mean(), {})


@pytest.fixture(params=[False, True])
def before(request):
    torch.set_flush_denormal(request.param)
    yield request.param
    torch.set_flush_denormal(False)


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="a processor without the mode")
def test_a_fit_flushes_forward_and_backward_and_leaves_the_mode_as_it_was(before):
    model = Watched()
    fit(model, {"x": torch.ones(4)}, options=FitOptions(max_epochs=2, batch_size=4))
    assert len(model.seen) >= 4
    assert all(model.seen)
    assert flushed() is before


def test_a_fit_that_fails_leaves_it_too(before):
    with pytest.raises(RuntimeError, match="failed"):
        fit(Watched(fails=True), {"x": torch.ones(4)})
    assert flushed() is before


def test_whatever_the_default_dtype(before):
    torch.set_default_dtype(torch.float64)
    try:
        with flushed_denormals():
            pass
        assert flushed() is before
    finally:
        torch.set_default_dtype(torch.float32)
