"""LTVAE: its bound, its start, and the tree that follows the codes."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from anabranch.distributions import LatentTree, TreeStructure
from anabranch.estimators import load, save
from anabranch.models import autoencoder, ltvae
from anabranch.objectives import Reconstruction, VariationalBound
from anabranch.procedures import (
    TrainingRun,
    choose_facet,
    fit_ltvae,
    start_ltvae,
)
from anabranch.procedures.fit_ltvae import TreeBound, independent_axes, white_axes
from anabranch.training import FitOptions, fit
from tests.registry import perturb, seeded

TWO = {"states": [3, 2], "parents": [-1, 0], "pouches": [[0, 2], [1]], "owners": [0, 1]}
QUICK = FitOptions(max_epochs=4, batch_size=32, progress=False)


def make(**changes):
    model = ltvae(5, structure=TWO, latent=3, hidden=[8], seed=0, **changes)
    return perturb(model, std=0.3)


def folded(n=256, seed=0):
    """Rows of two facets, behind a linear map: features of one cluster pair in three latents."""
    random = np.random.RandomState(seed)
    states = random.randint(2, size=(n, 2))
    z = 6.0 * (states[:, [0, 1]] - 0.5) + random.randn(n, 2)
    x = z @ random.randn(2, 5) + 0.05 * random.randn(n, 5)
    return torch.as_tensor(x, dtype=torch.float32), states


def test_the_terms_are_those_of_the_bound():
    model = make().double().eval()
    x = torch.randn(4, 5, generator=seeded(0), dtype=torch.float64)
    loc, log_scale = model.encoder(x)
    q = Normal(loc, log_scale.exp())
    noise = torch.randn(loc.shape, generator=seeded(0), dtype=loc.dtype)
    z = q.loc + q.scale * noise
    reconstruction, divergence = model.terms(x, noise)
    torch.testing.assert_close(reconstruction, model.decoder.log_prob(z, x))
    torch.testing.assert_close(-divergence, q.entropy().sum(-1) + model.prior.log_prob(z))
    for kind in (TreeBound, VariationalBound):
        loss = kind(model)({"x": x}, generator=seeded(0))
        torch.testing.assert_close(loss.total, (divergence - reconstruction).mean())


def test_the_divergence_is_one():
    """Against KL(q || p), which is known for a tree of one state."""
    model = ltvae(5, n_components=1, latent=3, hidden=[8], seed=0)
    x = torch.randn(1, 5, generator=seeded(0)).expand(40_000, -1)
    loc, log_scale = model.encoder(x[:1])
    p = Normal(model.prior.loc[0], 1.0)
    exact = torch.distributions.kl_divergence(Normal(loc, log_scale.exp()), p).sum().detach()
    drawn = model.terms(x, torch.randn(40_000, 3, generator=seeded(1)))[1].detach()
    assert (drawn.mean() - exact).abs() < 4 * drawn.std() / 200


def test_codes_are_remembered_in_training_only():
    objective, x = TreeBound(make()), torch.randn(4, 5, generator=seeded(0))
    objective.eval()({"x": x})
    assert len(objective.drawn) == 0
    objective.train()({"x": x}, generator=seeded(1))
    loc, log_scale = objective.model.encoder(x)
    expected = loc + log_scale.exp() * torch.randn(4, 3, generator=seeded(1))
    assert torch.equal(objective.drawn, expected.detach())


def test_gradients_pass_the_tree_and_leave_it_alone():
    model = make()
    VariationalBound(model)({"x": torch.randn(4, 5, generator=seeded(0))}).total.backward()
    assert all(p.grad is not None for p in model.encoder.parameters())
    assert not any(p.requires_grad for p in model.prior.parameters())


def test_axes_that_are_turned_change_no_reconstruction():
    x, _ = folded()
    coder = autoencoder(5, latent=3, hidden=[8], seed=1)
    model = ltvae(5, structure=TWO, latent=3, hidden=[8], seed=0)
    centre, matrix = torch.randn(3, generator=seeded(1)), torch.randn(3, 3, generator=seeded(2))
    tree = LatentTree(TreeStructure.single(3, 2), generator=seeded(3))
    model.start_from(coder, 0.5, tree, centre, matrix)
    codes = (coder.encode(x) - centre) @ matrix
    torch.testing.assert_close(model.encode(x), codes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.decode(codes), coder.decode(coder.encode(x)))
    torch.testing.assert_close(model.prior.log_prob(codes), tree.log_prob(codes))
    scale = model.encoder(x)[1].exp()
    torch.testing.assert_close(scale, torch.full_like(scale, 0.25))


def test_a_tree_of_another_structure_is_kept_in_files(tmp_path):
    model = make().eval()
    tree = LatentTree(TreeStructure.single(3, 4, full=False), generator=seeded(0))
    model.set_prior(tree)
    choose_facet(model, torch.randn(20, 5, generator=seeded(1)), 4)
    assert model.recipe["arguments"]["structure"] == tree.structure.plain()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    x = torch.randn(6, 5, generator=seeded(2))
    assert torch.equal(loaded.responsibilities(x), model.responsibilities(x))
    with pytest.raises(ValueError, match="over 3 features, the size of a code, got 2"):
        model.set_prior(LatentTree(TreeStructure.single(2, 2)))


def test_the_facet_with_the_wanted_states_is_chosen_first():
    model = make().eval()
    x = torch.randn(200, 5, generator=seeded(1))
    information = model.prior.information(model.encode(x)).tolist()
    assert choose_facet(model, x, 3) == 0
    assert model.responsibilities(x).shape == (3, 200)
    assert choose_facet(model, x, 2) == 1
    assert model.responsibilities(x).shape == (2, 200)
    assert choose_facet(model, x, 7) == int(np.argmax(information))


def test_the_search_finds_the_structure_and_training_keeps_it():
    x, states = folded()
    coder = autoencoder(5, latent=2, hidden=[], seed=0)
    options = FitOptions(max_epochs=60, batch_size=32, learning_rate=1e-2, progress=False)
    trained = fit(Reconstruction(coder), {"x": x}, {"x": x}, options=options, generator=seeded(0))
    model = ltvae(5, latent=2, hidden=[], seed=0)
    how = {"n_components": 2, "random_state": np.random.RandomState(0)}
    start_ltvae(model, coder, x, error=trained.best_score, **how)
    assert model.prior.structure.states == (2, 2)
    labels = [facet.argmax(0).numpy() for facet in model.facets(x)]
    agreement = [max((own == y).mean(), (own != y).mean()) for own in labels for y in states.T]
    assert sorted(agreement)[-2:] == pytest.approx([1, 1], abs=0.02)
    before = model.prior.loc[0].clone()
    result = fit_ltvae(model, x, x[:64], TrainingRun(QUICK, seeded(0)), max_states=2)
    assert model.prior.structure.states == (2, 2)
    assert not torch.equal(model.prior.loc[0], before)
    assert result.steps == 4 * 8
    assert [entry["epoch"] for entry in result.history] == sorted(
        entry["epoch"] for entry in result.history
    )


def test_training_raises_the_bound():
    x, _ = folded()
    model = ltvae(5, n_components=2, latent=2, hidden=[8], seed=0)
    coder = autoencoder(5, latent=2, hidden=[8], seed=0)
    start_ltvae(model, coder, x, n_components=2, n_init=10, random_state=np.random.RandomState(0))
    result = fit_ltvae(model, x, x, TrainingRun(QUICK, seeded(0)), rounds=1)
    scores = [entry["validation_loss"] for entry in result.history]
    assert min(scores[1:]) < scores[0]
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        fit_ltvae(model, x, x, TrainingRun(QUICK), rounds=0)


def test_axes_that_do_not_vary_are_not_blown_up():
    codes = np.random.RandomState(0).randn(200, 3) * [1.0, 1.0, 0.0]
    centre, matrix = white_axes(codes)
    assert np.isfinite(matrix).all()
    assert np.linalg.norm(matrix, 2) < 100
    rotation = independent_axes((codes - centre) @ matrix, np.random.RandomState(0))
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-10)


def test_white_codes_have_a_unit_covariance():
    codes = np.random.RandomState(0).randn(200, 3) @ np.diag([1.0, 2.0, 3.0]) + 5.0
    centre, matrix = white_axes(codes)
    white = (codes - centre) @ matrix
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(3), atol=1e-10)


def test_a_structure_over_another_code_is_refused():
    with pytest.raises(ValueError, match="structure must be over the 4 features of a code, got 3"):
        ltvae(5, structure=TWO, latent=4)
