"""Image flows survive a rate that is too large."""

import math
from dataclasses import replace

import pytest
import torch

from anabranch.data import load_sklearn
from anabranch.experiments.flow_training import OPTIONS
from anabranch.models import image_density
from anabranch.objectives import Likelihood
from anabranch.training import fit

SPECS = {
    "glow": {"name": "glow", "n_steps": 2, "channels": 16, "half_precision": True},
    "realnvp_images": {"name": "realnvp_images", "channels": 8, "n_couplings": 1},
    "flowpp": {"name": "flowpp", "n_couplings": [1, 1, 1], "channels": 8, "components": 2},
}


def trained(spec, n_steps, *, rate):
    x = torch.as_tensor(load_sklearn("digits").X, dtype=torch.float32)
    model = image_density(64, image_shape=[8, 8], flow=spec, levels=17, seed=0)
    model.initialize(x[:200], generator=torch.Generator().manual_seed(0))
    options = replace(OPTIONS, learning_rate=rate, max_epochs=n_steps // 28, average=0.9)
    source = torch.Generator().manual_seed(0)
    return model.eval(), fit(Likelihood(model), {"x": x}, options=options, generator=source), x


@pytest.mark.parametrize("name", SPECS)
def test_four_times_the_rate_stays_finite(name):
    model, result, x = trained(SPECS[name], 28, rate=4 * OPTIONS.learning_rate)
    assert result.steps + result.skipped_steps == 28
    assert result.skipped_steps == 0
    assert result.stopped == "max_epochs"
    assert -model.log_prob(x).mean() / 64 < math.log(17), "worse than uniform"
    assert torch.isfinite(model.sample(20, generator=torch.Generator().manual_seed(0))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glow", "realnvp_images"])
def test_a_long_run_at_four_times_the_rate_stays_finite(name):
    model, result, x = trained(SPECS[name], 5000, rate=4 * OPTIONS.learning_rate)
    assert result.stopped == "max_epochs"
    assert -model.log_prob(x).mean() / 64 < math.log(17)
