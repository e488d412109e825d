"""Categories that move real columns alike in all components."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from anabranch import FlowMixture, load, save
from anabranch.algorithms.mixed_gaussians import MixedRows
from anabranch.estimators.unused import UnusedSettingWarning
from anabranch.metrics import adjusted_rand
from anabranch.procedures.category_shift import CategoryShift, tied_shift


def species(n=240):
    """Two species by length; sex moves length and mass more than species does."""
    random = np.random.RandomState(0)
    kind, sex = np.arange(n) % 2, random.randint(2, size=n)
    moved = np.c_[2.0 * kind, 5.0 * kind] + np.c_[4.0 * sex, 6.0 * sex]
    frame = pd.DataFrame(moved + 0.5 * random.randn(n, 2), columns=["length", "mass"])
    return frame.assign(sex=np.where(sex, "m", "f"), site=random.choice(list("xyz"), n)), kind


@pytest.fixture(scope="module")
def fitted():
    frame, kind = species()
    how = {"columns": "auto", "missing": "marginal", "max_epochs": 0, "random_state": 0}
    options = {"local_dependence": True}
    return FlowMixture(2, flow=None, model_options=options, **how).fit(frame), frame, kind


def test_the_shift_is_that_of_the_rows(fitted):
    mixture, frame, kind = fitted
    assert adjusted_rand(kind, mixture.predict(frame)) == 1
    sex, site = mixture._moves.tables
    scale = mixture.preparation_._parts()[2].scale
    assert ((sex[1] - sex[0]) * scale).numpy() == pytest.approx([4, 6], abs=0.4)
    assert (site * scale).abs().max() < 0.3
    drawn, component = mixture.sample(4000, random_state=0)
    for c in (0, 1):
        means = drawn[component == c].groupby("sex")[["length", "mass"]].mean()
        assert (means.loc["m"] - means.loc["f"]).to_numpy() == pytest.approx([4, 6], abs=0.5)


def test_clusters_and_density_are_better_than_without(fitted):
    mixture, frame, _ = fitted
    bare = FlowMixture(**mixture.get_params(deep=False) | {"model_options": None}).fit(frame)
    assert bare._moves is None
    assert mixture.score(frame) > bare.score(frame) + 0.2


def test_a_missing_category_is_summed_out(fitted):
    mixture, frame, _ = fitted
    rows = frame.head(12)
    each = [
        mixture.score_samples(rows.assign(sex=s, site=t))
        for s in ("f", "m")
        for t in ("x", "y", "z")
    ]
    unknown = rows.assign(sex=None, site=None)
    assert mixture.score_samples(unknown) == pytest.approx(logsumexp(each, axis=0), abs=1e-4)
    alone = [mixture.score_samples(rows.assign(sex=s)) for s in ("f", "m")]
    some = rows.assign(sex=rows["sex"].where(rows.index % 2 == 0))
    expected = np.where(rows.index % 2, logsumexp(alone, axis=0), mixture.score_samples(rows))
    assert mixture.score_samples(some) == pytest.approx(expected, abs=1e-4)


def test_a_model_file_holds_it(fitted, tmp_path):
    mixture, frame, _ = fitted
    save(mixture, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert (again.score_samples(frame) == mixture.score_samples(frame)).all()
    assert again.sample(5, random_state=0)[0].equals(mixture.sample(5, random_state=0)[0])


def test_regression_within_components():
    """Of one component it is ridge regression, whose normal equations are known."""
    random = np.random.RandomState(1)
    code = random.randint(3, size=90).astype(float)
    x = random.randn(90) + code
    x[:10] = np.nan
    shift = tied_shift(MixedRows(np.c_[x, code], [3]), np.ones((90, 1)))
    Q = np.eye(3)[code.astype(int)]
    known, shares = ~np.isnan(x), Q.mean(0)
    centred, y = Q[known] - Q[known].mean(0), x[known] - x[known].mean()
    B = np.linalg.solve(centred.T @ centred + 5 * np.eye(3), centred.T @ y)
    assert shift.tables[0][:, 0].numpy() == pytest.approx(B - shares @ B)


def test_rows_keep_their_density():
    """The map has derivative one: density of x given k is that of x less the shift."""
    shift = CategoryShift((torch.tensor([[-1.0], [1.0]]),))
    z = torch.tensor([[0.5, 1.0], [0.5, torch.nan]])
    assert shift.lacking(z) == 0
    filled = list(shift.filled(z[1:], 0))
    assert [part.tolist() for part in filled] == [[[1.5, 0.0]], [[-0.5, 1.0]]]
    assert norm.pdf(0.5 - shift.of(z[:1, 1:]).item()) == norm.pdf(filled[1][0, 0].item())


def test_without_categories_it_is_no_setting():
    with pytest.warns(UnusedSettingWarning, match="local_dependence is not used"):
        FlowMixture(1, flow=None, max_epochs=0, model_options={"local_dependence": True}).fit(
            np.random.RandomState(0).randn(50, 1)
        )
