"""Log p(x, y) by importance sampling, and a start from clusters that are known."""

import numpy as np
import pytest
import torch

from anabranch.models import label_log_prob, nvisa
from anabranch.procedures import start_from_codes
from anabranch.training import FitOptions

ONCE = FitOptions(max_epochs=2, batch_size=50, patience=None, progress=False)


def by_quadrature(model, x):
    """Log p(x, y), (K, N), for a latent line."""
    z = torch.linspace(-25, 25, 20_001, dtype=x.dtype)
    mean, std = model.prior.mean, model.prior.std()
    prior = torch.distributions.Normal(mean.mT, std.mT).log_prob(z)  # (K, z)
    loc, raw = model.decoder(z.unsqueeze(1)).chunk(2, -1)
    scale = torch.nn.functional.softplus(raw) + model.floor
    likelihood = torch.distributions.Normal(loc, scale).log_prob(x.unsqueeze(1)).sum(-1)  # (N, z)
    joint = prior.unsqueeze(1) + likelihood - np.log(model.n_components)
    return torch.logsumexp(joint, -1) + torch.log(z[1] - z[0])


def wide(posterior="structured"):
    """A model whose q(z|y,x) covers p(z|y,x)."""
    settings = {"latent": 1, "hidden": [8], "floor": 0.3, "posterior": posterior}
    model = nvisa(2, 3, **settings, seed=0).double().eval()
    model.prior.mean.data = torch.tensor([[-2.0, 0.0, 3.0]], dtype=torch.float64)
    model.encoder.last.bias.data[1] = 4.0
    return model


@pytest.mark.parametrize("posterior", ["structured", "mean_field"])
def test_labels_have_the_probabilities_of_quadrature(posterior):
    model = wide(posterior)
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        true = by_quadrature(model, x)
    runs = [
        label_log_prob(model, x, 500, torch.Generator().manual_seed(seed)) for seed in range(40)
    ]
    ratios = (torch.stack(runs) - true).exp()
    error = ratios.std(0) / len(runs) ** 0.5
    assert ((ratios.mean(0) - 1).abs() < 4 * error + 1e-4).all()
    assert error.max() < 0.03


def test_all_labels_together_are_the_density():
    model = wide()
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = torch.logsumexp(label_log_prob(model, x, 20_000), 0)
    assert together.numpy() == pytest.approx(model.importance_log_prob(x, 20_000).numpy(), abs=0.05)


def test_a_start_takes_clusters_that_are_known():
    model = nvisa(4, 2, latent=2, hidden=[8], seed=0)
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    before = [p.clone() for p in model.classifier.parameters()]
    R = np.eye(2)[(x[:, 0] > 0).long().numpy()]
    found = start_from_codes(
        model, x, responsibilities=R, options=ONCE, random_state=np.random.RandomState(0)
    )
    assert (found == R).all()
    assert all(map(torch.equal, before, model.classifier.parameters()))
    codes = model.codes(x).detach().double().numpy()
    own = [codes[R[:, k] == 1] for k in range(2)]
    assert model.prior.mean.mT.tolist() == pytest.approx(
        np.array([part.mean(0) for part in own]), abs=1e-4
    )
    within = sum(len(part) * np.cov(part.T, bias=True) for part in own) / 100
    assert within == pytest.approx(1.44 * np.eye(2), abs=0.02)


def test_clusters_of_another_shape_are_refused():
    model = nvisa(4, 2, latent=2, hidden=[8], seed=0)
    with pytest.raises(ValueError, match=r"responsibilities must be \(9, 2\), got \(9, 3\)"):
        start_from_codes(model, torch.zeros(9, 4), responsibilities=np.ones((9, 3)) / 3)
