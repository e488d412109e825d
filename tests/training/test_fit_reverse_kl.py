"""Variational inference on targets whose normaliser is known."""

import math
import warnings

import pytest
import torch
from torch.distributions import MultivariateNormal

from anabranch.distributions import DiagonalNormal, Flow, Normal
from anabranch.models import planar
from anabranch.networks import select_component
from anabranch.objectives import ReverseKL, importance_diagnostics
from anabranch.training import (
    DivergedWarning,
    FitOptions,
    fit_reverse_kl,
)
from anabranch.transforms import Inverse, TriangularAffine
from tests.registry import seeded

LOG_Z = 2.5
TARGET = MultivariateNormal(torch.ones(2), torch.tensor([[1.0, 0.6], [0.6, 2.0]]))


def log_density(x):
    return TARGET.log_prob(x) + LOG_Z


def gaussian(batch_shape=()):
    return Flow(Normal(2), Inverse(TriangularAffine(2, batch_shape=batch_shape)))


def test_it_finds_a_gaussian_and_its_normaliser():
    q = gaussian()
    result = fit_reverse_kl(ReverseKL(q, log_density), steps=800, n_samples=64, learning_rate=0.05)
    found = importance_diagnostics(q, log_density, 5000, generator=seeded(1))
    assert -result.best_score == pytest.approx(LOG_Z, abs=5e-3)
    assert found.log_z == pytest.approx(LOG_Z, abs=5e-3)
    assert found.ess > 0.99
    assert abs(found.kl) < 5e-3
    assert result.steps == 800


def test_a_diagonal_posterior_keeps_the_known_gap():
    """The best factorised normal has the precision's diagonal: KL = -log(1 - rho^2) / 2."""
    q = DiagonalNormal(2)
    fit_reverse_kl(ReverseKL(q, log_density), steps=800, n_samples=64, learning_rate=0.05)
    found = importance_diagnostics(q, log_density, 20_000, log_z=LOG_Z, generator=seeded(1))
    expected = -0.5 * math.log(1 - 0.36 / 2)
    assert found.kl == pytest.approx(expected, abs=4 * found.kl_error + 2e-3)


def test_components_fit_targets_of_their_own():
    q = gaussian((2,))
    shifts = torch.tensor([[[-3.0, 0.0]], [[3.0, 1.0]]])
    objective = ReverseKL(q, lambda x: log_density(x - shifts))
    fit_reverse_kl(objective, steps=800, n_samples=64, learning_rate=0.05)
    for k, shift in enumerate(shifts[:, 0]):
        mean = select_component(q, k).sample(4000, generator=seeded(0)).mean(0)
        torch.testing.assert_close(mean, TARGET.mean + shift, atol=0.1, rtol=0.0)


def test_planar_layers_bend_the_posterior():
    def log_p(x):  # a banana, normalised
        first, second = x.unbind(-1)
        return Normal(2).log_prob(torch.stack((first - second.square(), second), -1))

    objectives = [
        ReverseKL(planar(2, n_layers=n, inverse=True, learn_base=True, seed=0), log_p)
        for n in (1, 8)
    ]
    few, many = (
        fit_reverse_kl(o, steps=600, n_samples=128, learning_rate=1e-2).best_score
        for o in objectives
    )
    assert -1e-2 < many < few - 0.1


def test_steps_that_are_not_finite_change_nothing():
    calls = 0

    def fragile(x):
        nonlocal calls
        calls += 1
        return log_density(x) * (float("nan") if calls % 7 == 3 else 1.0)

    q = gaussian()
    options = FitOptions(patience=None, min_evaluation_steps=1, max_skipped=50)
    objective = ReverseKL(q, fragile)
    result = fit_reverse_kl(objective, steps=400, n_samples=64, learning_rate=0.05, options=options)
    assert result.skipped_steps > 20
    assert all(torch.isfinite(p).all() for p in q.parameters())
    assert importance_diagnostics(q, log_density, 2000, generator=seeded(0)).ess > 0.9


def test_a_target_that_is_never_finite_stops_the_fit():
    objective = ReverseKL(gaussian(), lambda x: x.sum(-1) * float("nan"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit_reverse_kl(objective, steps=200, n_samples=8)
    assert result.stopped == "diverged"
    assert any(issubclass(w.category, DivergedWarning) for w in caught)


def test_a_seed_decides_the_run():
    ends = []
    for seed in (1, 1, 2):
        q = gaussian()
        fit_reverse_kl(ReverseKL(q, log_density, seed=seed), steps=20, n_samples=8)
        ends.append(q.transform.transform.loc.detach().clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_the_learning_rate_falls_by_half_a_cosine():
    result = fit_reverse_kl(ReverseKL(gaussian(), log_density), steps=80, learning_rate=0.1)
    rates = [entry["learning_rate"] for entry in result.history]  # of the steps before
    waves = [0.5 * (1 + math.cos(math.pi * k / 40)) for k in range(40)]
    assert rates[1:] == pytest.approx([0.1 * (0.01 + 0.99 * wave) for wave in waves])


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda o: fit_reverse_kl(o, steps=0), "steps and n_samples must be positive, got 0"),
        (lambda o: fit_reverse_kl(o, annealing=2.0), r"annealing .* 0..1, got 2.0"),
        (lambda o: importance_diagnostics(gaussian((2,)), log_density), r"batch_shape \(2,\)"),
    ],
)
def test_bad_values(call, named):
    with pytest.raises(ValueError, match=named):
        call(ReverseKL(gaussian(), log_density))
