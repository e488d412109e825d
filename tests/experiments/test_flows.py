"""The experiments with image flows, as short as they can be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anabranch.experiments import flow_ablations, flow_training, images_flows
from anabranch.experiments.flow_training import bits, train_flow
from anabranch.models import image_density

SHORT = replace(flow_training.OPTIONS, batch_size=20, max_epochs=1)
TINY = {"name": "glow", "n_levels": 1, "n_steps": 1, "channels": 4}


@pytest.fixture
def x():
    source = torch.Generator().manual_seed(0)
    return torch.randint(17, (500, 64), generator=source).float()


def test_a_time_is_kept_roughly(x):
    model = image_density(64, image_shape=[8, 8], flow=TINY, levels=17, seed=0)
    short, long = (
        train_flow(model, x, seconds, seed=0, options=SHORT).result.steps for seconds in (0.05, 0.5)
    )
    assert 0 < short < long


def test_epochs_are_those_of_the_options(x):
    model = image_density(64, image_shape=[8, 8], flow=TINY, levels=17, seed=0)
    trained = train_flow(model, x, seed=0, options=replace(SHORT, max_epochs=2))
    assert trained.result.steps == 2 * (100 // 20)
    assert bits(trained.model, x[:7]).shape == (7,)
    assert np.log2(17) < bits(trained.model, x).mean() < 12


def test_complexity_and_the_area_under_the_curve():
    flat, noisy = torch.zeros(2, 784), torch.randint(256, (2, 784)).float()
    assert (images_flows.compressed_bits(flat) < images_flows.compressed_bits(noisy)).all()
    assert images_flows.auc(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 2.0])) == 0.75


def test_uniform_noise_leaves_a_gap(monkeypatch):
    monkeypatch.setattr(flow_ablations, "DRAWS", 200)
    assert flow_ablations.one_number(variational=False, seed=0) > 0.05


def test_the_affine_flow_has_no_fewer_parameters():
    sizes = [flow_ablations.count(s) for s in (flow_ablations.AFFINE, flow_ablations.FLOWPP)]
    assert sizes[0] >= sizes[1]
