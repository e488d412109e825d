"""VideoFlow: causal, its draws as its density says, and a toy whose future is known."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from anabranch.distributions import TemporalPrior
from anabranch.experiments import Run
from anabranch.experiments import branching_video as module
from anabranch.models import videoflow
from anabranch.networks import CausalConv3d
from anabranch.problems import BranchingVideo
from anabranch.transforms import FrameWise, Reverse
from tests.registry import perturb, seeded

PARTS = [(2, 2, 2), (4, 1, 1)]
SMALL = {"length": 4, "image_shape": [4, 4], "n_steps": 1, "channels": 4, "prior_channels": 4}


def prior(**settings):
    return perturb(TemporalPrior(PARTS, 5, channels=4, **settings)).double().eval()


def test_fresh_it_is_a_random_walk():
    fresh = TemporalPrior(PARTS, 3, channels=4)
    z = torch.randn(2, 3, 12, generator=seeded(0))
    steps = torch.cat((z[:, :1], z.diff(dim=1)), 1)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(steps).sum(-1)
    torch.testing.assert_close(fresh.frame_log_probs(z), expected)
    torch.testing.assert_close(fresh.log_prob(z.flatten(1)), expected.sum(1))


def test_a_frame_sees_none_after_it_and_coarser_scales_only():
    model, z = prior(), torch.randn(1, 5, 12, generator=seeded(0)).double()
    J = jacobian(model.frame_log_probs, z)[0, :, 0].abs().sum(-1)
    assert (J.triu(1) == 0).all()
    assert (J.diagonal(-1) > 0).all()
    alone = jacobian(prior(past=False).frame_log_probs, z)[0, :, 0].abs().sum(-1)
    assert (alone - alone.diag().diag() == 0).all()

    def means(z):
        parts = model._parts(z)
        return torch.cat([model._told(level, parts)[0].flatten() for level in (0, 1)])

    told = jacobian(means, z)[:, 0]  # of 8 fine and 4 coarse numbers in each of five frames
    fine, coarse = told[:40].reshape(2, 5, 4, 5, 12), told[40:].reshape(4, 5, 5, 12)
    assert (fine[:, 2, :, 2, :8] == 0).all()
    assert (fine[:, 2, :, 2, 8:] != 0).any()
    assert (coarse[:, 2, 2] == 0).all()
    assert (coarse[:, 2, 1, :8] == 0).all()
    assert (coarse[:, 2, 1, 8:] != 0).any()


def test_draws_are_those_of_the_density():
    """Without noise a frame is the mean that the density gives it, however long the video is."""
    model = prior()
    z = model.extend(torch.randn(3, 2, 12, generator=seeded(0)).double(), 7, temperature=0.0)
    parts = model._parts(z)
    for level, part in enumerate(parts):
        loc, _ = model._told(level, parts)
        torch.testing.assert_close(part[:, :, 2:], loc[:, :, 2:])
    # with noise, the distance from the mean is that of a normal
    drawn = model.sample(500, generator=seeded(1)).reshape(500, 5, 12)
    parts = model._parts(drawn)
    for level, part in enumerate(parts):
        loc, log_scale = model._told(level, parts)
        off = (part - loc) * (-log_scale).exp()
        assert off.std().item() == pytest.approx(1, abs=0.05)


def test_the_density_of_a_video_is_that_of_the_jacobian():
    model = perturb(videoflow(64, **SMALL, seed=0)).double().eval()
    x = torch.randn(1, 64, generator=seeded(0)).double()
    z, _ = model.transform.encode(x)
    J = jacobian(lambda a: model.transform.encode(a)[0], x)[0, :, 0]
    expected = model.base.log_prob(z) + torch.linalg.slogdet(J)[1]
    torch.testing.assert_close(model.log_prob(x), expected)
    torch.testing.assert_close(model.frame_log_probs(x).sum(1), expected)
    torch.testing.assert_close(model.transform.decode(z)[0], x)


def test_videos_go_on():
    model = perturb(videoflow(64, **SMALL, levels=2, seed=0)).eval()
    first = torch.randint(2, (3, 2, 16), generator=seeded(0)).float()
    longer = model.extend(first, 6, generator=seeded(0))
    assert longer.shape == (3, 8, 16)
    assert (longer[:, :2] == first).all()
    assert ((longer == 0) | (longer == 1)).all()
    with pytest.raises(ValueError, match=r"frames must have shape \(N, T, 16\)"):
        model.extend(torch.zeros(3, 16), 1)
    with pytest.raises(ValueError, match="length must divide"):
        videoflow(63, **SMALL)


def test_convolutions_of_time():
    conv = CausalConv3d(1, 1, frames=2, dilation=2)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 10.0]).reshape(1, 1, 2, 1, 1))
    x = torch.arange(1.0, 5.0).reshape(1, 1, 4, 1, 1)
    assert conv(x).flatten().tolist() == [10.0, 20.0, 31.0, 42.0]


def test_misuse_is_named():
    with pytest.raises(ValueError, match="a prior needs scales and frames"):
        TemporalPrior([], 3)
    with pytest.raises(ValueError, match="FrameWise needs rows and frames"):
        FrameWise(Reverse(2), 0)


def test_the_future_branches():
    problem = BranchingVideo(5, 2)
    videos = problem.sample(400, 6, random_state=0)
    assert (videos.sum((2, 3)) == 4).all()
    steps = problem.steps(videos[:, :-1], videos[:, 1:])
    assert set(np.unique(steps)) == {-1, 1}
    assert (steps == 1).mean() == pytest.approx(0.5, abs=0.05)
    places = problem.places(videos[:, 0])
    assert len({tuple(place) for place in places.tolist()}) == 25
    rows, columns = places.T
    assert (problem.frame(rows, columns) == videos[:, 0]).all()
    broken = videos[0, :1].copy()
    broken[0, 0, 0] ^= 1
    assert problem.places(broken).tolist() == [[-1, -1]]
    assert problem.steps(videos[0, :1], videos[0, :1]).tolist() == [0]
    with pytest.raises(ValueError, match="does not fit"):
        BranchingVideo(3, 3)


def test_the_experiment_runs(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 600)
    monkeypatch.setattr(module, "TESTED", 6)
    monkeypatch.setattr(module, "FRAMES", 3)
    monkeypatch.setitem(module.SECONDS, "cpu", 0.1)
    for name in ("channels", "prior_channels"):
        monkeypatch.setitem(module.MODEL, name, 4)
    monkeypatch.setitem(module.MODEL, "n_steps", 1)
    values = {f.name: f.value for f in module.branching_video(Run(seeds=(100,))).figures}
    assert values["steps that were not finite"] == 0
    assert all(np.isfinite(list(values.values())))
