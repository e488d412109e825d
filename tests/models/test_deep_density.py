"""Deep density models: the divergence, the loss, and densities of the decoder."""

import pytest
import torch
from scipy import stats

from anabranch.distributions import LogisticBeta, Mixture
from anabranch.models import deep_density, realnvp
from anabranch.networks import MLP
from anabranch.objectives import DeepDensityLoss, beta_divergence


def test_the_divergence_of_two_betas_is_that_of_an_integral():
    """z has the moments of Beta(3, 2): mean .6, variance .04."""
    z = torch.tensor([[0.4], [0.8]]).double()
    first, second = stats.beta(3, 2), stats.beta(2, 2.5)
    grid = torch.linspace(1e-6, 1 - 1e-6, 400_001).double().numpy()
    truth = torch.trapezoid(
        torch.from_numpy(first.pdf(grid) * (first.logpdf(grid) - second.logpdf(grid))),
        torch.from_numpy(grid),
    )
    found = beta_divergence(z, torch.tensor(2.0), torch.tensor(2.5))
    assert float(found) == pytest.approx(float(truth), abs=1e-4)


def test_terms_vanish_where_nothing_is_wrong():
    """An encoder that inverts the decoder, independent latents of the law, and rotations."""
    flow = deep_density(2, alpha=2.0, beta=2.0, seed=0).double()
    x = flow.sample(20_000, generator=torch.Generator().manual_seed(0))

    class Exact(torch.nn.Module):
        def forward(self, rows):
            return flow.transform.encode(rows)[0]

    terms = DeepDensityLoss(flow, Exact())({"x": x.clamp(0, 1)}).terms
    for name in ("divergence", "invertibility", "decorrelation"):
        assert abs(terms[name].item()) < 0.01
    law = flow.base
    assert isinstance(law, LogisticBeta)
    z = torch.sigmoid(flow.transform.encode(x)[0])
    assert z.var().item() == pytest.approx(0.05, abs=0.002)


def test_conditions_beyond_the_limit_cost():
    flow = deep_density(2, n_layers=1, seed=0)
    objective = DeepDensityLoss(flow, torch.nn.Linear(2, 2), condition=10.0)
    with torch.no_grad():
        objective.matrices[0].matrix.copy_(torch.diag(torch.tensor([1.0, 0.01])))
    found = objective({"x": torch.rand(8, 2)}).terms["invertibility"]
    assert found.item() == pytest.approx(torch.log(torch.tensor(10.0)).item(), rel=1e-4)


def test_training_teaches_the_decoder_to_tell_rows_again():
    source = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 2, generator=source)
    x = torch.sigmoid(noise @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]))
    flow = deep_density(2, seed=0)
    objective = DeepDensityLoss(flow, MLP(2, 2, (16,), generator=source))
    before = objective({"x": x})
    optimizer = torch.optim.Adam(objective.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        objective({"x": x}).total.backward()
        optimizer.step()
    after = objective({"x": x})
    assert after.total.item() < before.total.item() - 0.05
    assert after.terms["reconstruction"].item() < before.terms["reconstruction"].item()


def test_one_density_for_each_class_gives_their_probabilities():
    mixture = Mixture([deep_density(2, batch_shape=[3], seed=0)])
    posterior = mixture.log_posterior(torch.rand(5, 2)).exp()
    assert torch.allclose(posterior.sum(0), torch.ones(5), atol=1e-5)


def test_other_flows_are_refused():
    with pytest.raises(ValueError, match="deep_density"):
        DeepDensityLoss(realnvp(2, seed=0), torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="condition"):
        DeepDensityLoss(deep_density(2, seed=0), torch.nn.Linear(2, 2), condition=0.0)
