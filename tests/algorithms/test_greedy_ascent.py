"""Greedy ascent: monotone, replayable, and better than a normal."""

import numpy as np
import pytest
import torch

from anabranch.algorithms.greedy_ascent import best_expansion, greedy_ascent
from anabranch.estimators import load, save
from anabranch.models import maf, tabak_turner
from anabranch.problems import Banana
from tests.registry import seeded


def rows(n, seed):
    return torch.from_numpy(Banana().sample(n, random_state=seed)[0]).float()


@pytest.fixture(scope="module")
def ascent():
    flow = tabak_turner(2, n_steps=60, seed=0)
    x, held_out = rows(800, 100), rows(400, 101)
    return flow, x, held_out, greedy_ascent(flow, x, held_out, generator=seeded(0))


def test_the_likelihood_never_falls(ascent):
    _, _, _, result = ascent
    assert np.diff(result.train).min() > 0
    assert result.train[-1] - result.train[0] > 0.2


def test_the_flow_replays_the_ascent(ascent):
    flow, x, held_out, result = ascent
    with torch.no_grad():
        for points, scores in ((x, result.train), (held_out, result.validation)):
            assert flow.log_prob(points).mean().item() == pytest.approx(
                scores[result.steps], abs=1e-4
            )
        z, _ = flow.transform.encode(x)
        torch.testing.assert_close(flow.transform.decode(z)[0], x, atol=1e-3, rtol=1e-3)


def test_it_starts_at_the_normal_of_the_data(ascent):
    _, x, _, result = ascent
    normal = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov(correction=0))
    assert result.train[0] == pytest.approx(normal.log_prob(x).mean().item(), abs=1e-4)


def test_fresh_rows_are_more_likely(ascent):
    flow, _, _, result = ascent
    with torch.no_grad():
        fresh = flow.log_prob(rows(4000, 102)).mean().item()
    assert fresh > result.validation[0] + 0.15


def test_saved_and_loaded_it_is_the_same(ascent, tmp_path):
    flow, x, _, _ = ascent
    save(flow, tmp_path / "flow")
    assert torch.equal(load(tmp_path / "flow").log_prob(x), flow.log_prob(x))


def test_it_stops_where_held_out_rows_do_not_gain():
    """Few rows are overfitted soon; what was set after the best score is undone."""
    flow = tabak_turner(2, n_steps=100, seed=0)
    x, held_out = rows(40, 100), rows(400, 101)
    result = greedy_ascent(flow, x, held_out, patience=10, generator=seeded(0))
    assert result.stopped == "patience"
    assert len(result.train) == result.steps + 12
    assert max(result.validation) == result.validation[result.steps]
    with torch.no_grad():
        assert flow.log_prob(held_out).mean().item() == pytest.approx(
            max(result.validation), abs=1e-4
        )


def test_one_feature_and_many():
    for features in (1, 4):
        x = torch.randn(300, features, generator=seeded(0)).exp()
        flow = tabak_turner(features, n_steps=20, seed=0)
        result = greedy_ascent(flow, x)
        assert result.train[-1] > result.train[0] + 0.1
        assert result.steps == 20


def test_an_expansion_is_the_best_of_its_kind():
    """At the chosen scale the derivative of the likelihood is zero."""
    y = torch.randn(1, 500, 2, generator=seeded(0), dtype=torch.float64)
    y = y + 0.3 * y.square()
    centre, alpha, scale = best_expansion(y, 8, seeded(0))

    def likelihood(scale):
        offset = y[0] - centre
        near = alpha / (alpha + offset.norm(dim=-1, keepdim=True))
        z = centre + (1 + (scale - 1) * near) * offset
        term = torch.log1p((scale - 1) * near) + torch.log1p((scale - 1) * near.square())
        return (term.squeeze(-1) - 0.5 * z.square().sum(-1)).mean()

    assert likelihood(scale) > likelihood(torch.ones(1, dtype=torch.float64))
    step = 1e-4
    slope = (likelihood(scale + step) - likelihood(scale - step)) / (2 * step)
    assert abs(slope) < 1e-6


def test_the_same_seed_gives_the_same_flow():
    flows = [tabak_turner(2, n_steps=6, seed=0) for _ in range(2)]
    for flow in flows:
        greedy_ascent(flow, rows(100, 0), generator=seeded(3))
    assert torch.equal(flows[0].log_prob(rows(50, 1)), flows[1].log_prob(rows(50, 1)))


@pytest.mark.parametrize(
    ("flow", "x", "named"),
    [
        (maf(2), rows(20, 0), r"flow must be one of recipe 'tabak_turner' .* \['Autoregressive'"),
        (tabak_turner(2, n_steps=1, batch_shape=(3,)), rows(20, 0), "without batch_shape"),
        (tabak_turner(2, n_steps=1), rows(2, 0), r"\(N, D\) with N > D, got \(2, 2\)"),
    ],
)
def test_bad_values(flow, x, named):
    with pytest.raises(ValueError, match=named):
        greedy_ascent(flow, x)
