"""A prior over parameters, beside conjugate truth."""

import math

import pytest
import torch

from anabranch.distributions import DiagonalNormal
from anabranch.objectives import Likelihood, MaximumAPosteriori
from anabranch.training import FitOptions, fit


def objective(n, **how):
    law = DiagonalNormal(1).double()
    for name, parameter in law.named_parameters():
        parameter.requires_grad_("scale" not in name)
    return MaximumAPosteriori(Likelihood(law), n_rows=n, **how), law


def trained_parameter(law):
    (parameter,) = [p for p in law.parameters() if p.requires_grad]
    return parameter


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_the_mode_of_a_normal_mean_is_the_conjugate_one(scale):
    """With unit noise the posterior mean shrinks by N / (N + 1/s^2)."""
    x = 2 + torch.linspace(-1, 1, 10, dtype=torch.float64).unsqueeze(-1)
    loss, law = objective(len(x), scale=scale)
    with torch.no_grad():
        spread = law.log_prob(torch.zeros(1, 1).double())
    # unit variance is what DiagonalNormal starts at; otherwise the truth below is another
    assert float(spread) == pytest.approx(-0.5 * math.log(2 * math.pi))
    parameter = trained_parameter(law)
    solver = torch.optim.LBFGS(law.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        total = loss({"x": x}).total
        total.backward()
        return total

    solver.step(closure)
    assert float(parameter.detach().flatten()[0]) == pytest.approx(
        2 * 10 / (10 + scale**-2), rel=1e-4
    )


@pytest.mark.parametrize("prior", ["normal", "laplace", "student"])
def test_priors_are_densities(prior):
    from anabranch.objectives.map import _log_density

    grid = torch.linspace(-4000, 4000, 4_000_001, dtype=torch.float64)
    mass = torch.trapezoid(_log_density(grid, prior).exp(), grid)
    assert float(mass) == pytest.approx(1, abs=1e-5)


def test_it_runs_in_the_loop_and_refuses_what_cannot_be():
    loss, _ = objective(8, prior="laplace")
    options = FitOptions(max_epochs=2, batch_size=4, progress=False)
    result = fit(loss, {"x": torch.randn(8, 1).double()}, options=options)
    assert result.steps == 4
    with pytest.raises(ValueError, match="prior"):
        objective(8, prior="uniform")
    with pytest.raises(ValueError, match="scale"):
        objective(8, scale=0.0)
