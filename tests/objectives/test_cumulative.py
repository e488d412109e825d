"""Distribution functions as regressions: values in closed form, and what training finds."""

import pytest
import torch

from anabranch.distributions import DiagonalNormal, Flow, Logistic, StudentT
from anabranch.functional.ranks import smooth_targets
from anabranch.models import maf, sic
from anabranch.networks import CumulativeNetwork
from anabranch.objectives import CumulativeRegression, PenalisedCumulative, QuantileMatching
from anabranch.procedures import TrainingRun, fit_cumulative, fit_quantiles
from anabranch.training import CosineDecay, FitOptions
from anabranch.transforms import Affine, Elementwise
from tests.registry import perturb, seeded


def logistic(log_scale=0.0):
    flow = Flow(Logistic(1), Elementwise(Affine(), 1))
    with torch.no_grad():
        flow.transform.params[0] = log_scale
    return flow


def test_the_error_is_that_of_the_logistic_function():
    x = torch.tensor([[-1.0], [0.0], [2.0]])
    batch = {"x": x, "target": torch.tensor([0.25, 0.5, 0.75]), "term": torch.full((3,), 0.5)}
    loss = CumulativeRegression(logistic())(batch)
    error = (torch.sigmoid(x.squeeze(1)) - batch["target"]).square()
    torch.testing.assert_close(loss.total, error.mean())
    torch.testing.assert_close(loss.terms["nll"], -logistic().log_prob(x).mean() - 0.5)
    weights = torch.tensor([0.0, 1.0, 3.0])
    weighted = CumulativeRegression(logistic())({**batch, "weights": weights})
    torch.testing.assert_close(weighted.total, (error * weights).sum() / 4)


def test_the_inverse_is_compared_with_rows():
    batch = {"x": torch.tensor([[0.5]]), "target": torch.tensor([0.75])}
    expected = (torch.logit(torch.tensor(0.75)) - 0.5) ** 2
    torch.testing.assert_close(QuantileMatching(logistic())(batch).total, expected)


def test_a_box_has_what_lies_between_its_corners():
    network = CumulativeNetwork(2, generator=seeded(0)).double()
    objective = PenalisedCumulative(network, torch.zeros(2), torch.ones(2)).double()
    low, high = torch.zeros(1, 2).double(), torch.tensor([[0.5, 1.0]]).double()
    corners = [[0.5, 1.0], [0.0, 1.0], [0.5, 0.0], [0.0, 0.0]]
    a, b, c, d = network(torch.tensor(corners).double())
    torch.testing.assert_close(objective.boxes(low, high), (a - b - c + d).unsqueeze(0))


@pytest.mark.parametrize("falls", [False, True])
def test_only_what_falls_is_punished(falls):
    network = CumulativeNetwork(1, increasing=True, generator=seeded(0))
    if falls:
        network.increasing = False
        with torch.no_grad():
            network.weights[0].neg_()
            network.weights[1].abs_()
            network.weights[0].clamp_(-3, -0.5)
    batch = {"x": torch.zeros(1, 1), "target": torch.zeros(1)}
    objective = PenalisedCumulative(network, -torch.ones(1), torch.ones(1), penalty=3.0)
    loss = objective(batch, generator=seeded(0))
    assert bool(loss.terms["penalty"] > 0) is falls
    torch.testing.assert_close(loss.total, loss.terms["squared_error"] + 3 * loss.terms["penalty"])


def test_what_has_no_distribution_function_is_refused():
    with pytest.raises(ValueError, match="of one column"):
        CumulativeRegression(maf(2, seed=0))
    with pytest.raises(TypeError, match="base must have a cdf, got StudentT"):
        CumulativeRegression(Flow(StudentT(1), Elementwise(Affine(), 1)))
    with pytest.raises(ValueError, match="targets must be one of"):
        fit_cumulative(logistic(), torch.zeros(4, 1), TrainingRun(FitOptions()), targets="no")
    network, run = CumulativeNetwork(2), TrainingRun(FitOptions())
    with pytest.raises(ValueError, match="stochastic targets are of one column, got 2"):
        fit_cumulative(network, torch.zeros(4, 2), run, targets="stochastic")
    with pytest.raises(ValueError, match="recipe 'sic' is for one column"):
        sic(2)


def training(steps, n, rate=0.05):
    options = FitOptions(
        max_epochs=steps, batch_size=n, learning_rate=rate, patience=None, progress=False,
        min_evaluation_steps=steps,
    )  # fmt: skip
    return TrainingRun(options, seeded(3), schedules=[CosineDecay(steps)], keep="last")


@pytest.mark.parametrize("targets", ["smooth", "stochastic"])
def test_the_quantiles_of_a_normal_are_found(targets):
    u = torch.arange(1, 200) / 200
    x = torch.special.ndtri(u).unsqueeze(1)
    flow = perturb(Flow(DiagonalNormal(1), Elementwise(Affine(), 1)), std=0.5)
    fit_cumulative(flow, x, training(150, 199), targets=targets)
    with torch.no_grad():
        z = flow.transform.encode(x)[0]
        found = flow.base.cdf(z).squeeze(1)
    torch.testing.assert_close(found, u, atol=0.002 if targets == "smooth" else 0.03, rtol=0)


def test_the_generator_by_the_inverse():
    u = torch.arange(1, 200) / 200
    x = torch.special.ndtri(u).unsqueeze(1)
    flow = sic(1, inverse=True, seed=0)
    fit_quantiles(flow, x, training(250, 199, rate=0.1))
    with torch.no_grad():
        found = flow.transform.decode(torch.logit(u).unsqueeze(1))[0]
    torch.testing.assert_close(found, x, atol=0.2, rtol=0)


def test_stochastic_targets_are_those_of_the_epoch_alone():
    x = torch.randn(30, 1, generator=seeded(0))
    flows = [logistic(0.3), logistic(0.3)]
    for flow in flows:
        fit_cumulative(flow, x, training(5, 30), targets="stochastic")
    assert torch.equal(flows[0].transform.params, flows[1].transform.params)
    smooth = logistic(0.3)
    fit_cumulative(smooth, x, training(5, 30))
    assert not torch.equal(flows[0].transform.params, smooth.transform.params)


def test_a_network_of_two_columns_learns_the_share_of_rows():
    x = torch.randn(60, 2, generator=seeded(0))
    network = CumulativeNetwork(2, generator=seeded(1))
    fit_cumulative(network, x, training(200, 120, rate=0.1))
    with torch.no_grad():
        assert float((network(x) - smooth_targets(x)).square().mean().sqrt()) < 0.05
