"""Flows that rows set at once, alone and as components."""

import numpy as np
import pytest
import torch

from anabranch import FlowDensity, FlowMixture, load, save
from anabranch.distributions import Mixture
from anabranch.estimators.unused import UnusedSettingWarning
from anabranch.models import realnvp, vine
from anabranch.procedures.fit_by_rows import Rounds, fit_mixture_by_rows

pytest.importorskip("pyvinecopulib")


def two_copulas(n, seed=0):
    """Clayton's copula and one turned by a quarter, with normal marginals of one place."""
    random = np.random.RandomState(seed)
    v, p = random.uniform(size=(2, n))
    u = ((p ** (-4 / 5) - 1) * v**-4.0 + 1) ** -0.25
    labels = random.uniform(size=n) < 0.4
    pair = np.stack((v, np.where(labels, 1 - u, u)), 1)
    return torch.special.ndtri(torch.from_numpy(pair)), labels.astype(int)


@pytest.mark.slow
def test_em_tells_vines_that_differ_in_dependence_alone():
    x, labels = two_copulas(1500)
    targets = torch.zeros(1500, 2).double()
    targets[torch.arange(20), torch.from_numpy(labels[:20])] = 1  # which is called which
    mixture = Mixture([vine(2, families="simple", batch_shape=[2])]).double()
    data = {"x": x, "targets": targets}
    first = mixture.log_prob(x).mean()
    result = fit_mixture_by_rows(mixture, data, {"x": x}, Rounds(10, 10))
    assert mixture.log_prob(x).mean() > first + 0.2
    found = mixture.log_posterior(x).argmax(0).numpy()
    assert (found == labels).mean() > 0.7
    assert result.best_score == pytest.approx(-float(mixture.log_prob(x).mean()), abs=1e-6)


def test_the_best_state_comes_out():
    x, _ = two_copulas(200)
    held_out = {"x": torch.randn(50, 2).double() * 4}
    mixture = Mixture([vine(2, families="kernel", batch_shape=[2])]).double()
    result = fit_mixture_by_rows(mixture, {"x": x}, held_out, Rounds(3, 3))
    scores = [entry["validation_nll"] for entry in result.history]
    assert result.best_score == min(scores)
    assert -float(mixture.log_prob(held_out["x"]).mean()) == pytest.approx(min(scores))


def test_other_components_are_refused():
    x, _ = two_copulas(50)
    mixed = Mixture([vine(2, batch_shape=[1]), realnvp(2, batch_shape=[1], seed=0)])
    with pytest.raises(ValueError, match="no mixture with others"):
        fit_mixture_by_rows(mixed, {"x": x.float()}, {"x": x.float()}, Rounds(1, 1))


def test_a_density_is_set_at_once_and_kept_in_a_file(tmp_path):
    x = two_copulas(600)[0][:, :].numpy()
    density = FlowDensity({"name": "vine", "families": "simple"}, random_state=0).fit(x)
    gaussian = FlowDensity(None, random_state=0).fit(x)
    held_out = two_copulas(2000, seed=1)[0].numpy()
    assert density.score(held_out) > gaussian.score(held_out) + 0.1
    save(density, tmp_path / "vine.anb")
    again = load(tmp_path / "vine.anb")
    assert np.array_equal(again.score_samples(held_out), density.score_samples(held_out))
    assert again.sample(5).shape == (5, 2)
    with pytest.raises(ValueError, match="context"):
        FlowDensity("vine").fit(x, context=x[:, :1])


@pytest.mark.slow
def test_a_mixture_of_vines_is_fitted_by_em(tmp_path):
    x = np.concatenate([two_copulas(400)[0].numpy(), 5 + two_copulas(400, seed=2)[0].numpy()])
    mixture = FlowMixture(2, flow={"name": "vine", "families": "simple"}, random_state=0).fit(x)
    assert "EM" in mixture.fit_result_.stages
    assert (mixture.predict(x[:400]) == mixture.predict(x[400:])).mean() < 0.02
    plain = FlowMixture(2, flow=None, random_state=0).fit(x)
    assert mixture.score(x) > plain.score(x) + 0.02
    save(mixture, tmp_path / "vines.anb")
    assert np.array_equal(load(tmp_path / "vines.anb").predict(x), mixture.predict(x))
    assert mixture.sample(7)[0].shape == (7, 2)


@pytest.mark.parametrize("setting", [{"learning_rate": 0.1}, {"batch_size": 8}])
def test_settings_of_steps_are_said_to_be_unused(setting):
    x = two_copulas(60)[0].numpy()
    with pytest.warns(UnusedSettingWarning, match=f"{next(iter(setting))} is not used"):
        FlowMixture(2, flow="vine", max_epochs=1, random_state=0, **setting).fit(x)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inference": "variational"}, "inference"),
        ({"n_components": "auto"}, "n_components"),
        ({"fit_options": {"checkpoint": "x.pt"}}, "checkpoint"),
    ],
)
def test_what_vines_do_not_take_is_refused(settings, words):
    x = two_copulas(60)[0].numpy()
    settings = {"n_components": 2, **settings}
    with pytest.raises(ValueError, match=words):
        FlowMixture(flow="vine", random_state=0, **settings).fit(x)
