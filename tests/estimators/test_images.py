"""Image flows in estimators: as components, as a trunk, told the class, and bad images."""

import numpy as np
import pytest

from anabranch import FlowDensity, FlowMixture
from anabranch.data import load_sklearn
from anabranch.metrics import bits_per_dim, clustering_accuracy

SPEC = {"name": "glow", "image_shape": [8, 8], "n_levels": 1, "n_steps": 1, "channels": 8}
FIT = {"levels": 17, "logit_alpha": 0.01, "random_state": 0}
OPTIONS = {"levels": 17, "logit_alpha": 0.01}


@pytest.fixture(scope="module")
def digits():
    table = load_sklearn("digits")
    few = table.labels < 3
    return table.X[few].astype(float), table.labels[few]


def test_components_are_image_flows(digits):
    X, y = digits
    settings = {"model_options": OPTIONS, "max_epochs": 1, "random_state": 0}
    mixture = FlowMixture(3, flow=SPEC, **settings).fit(X)
    assert 0.5 < bits_per_dim(mixture.score(X), 64) < 2.6
    assert clustering_accuracy(y, mixture.predict(X)) > 0.9
    drawn = mixture.sample(5)[0]
    assert drawn.shape == (5, 64)
    assert np.isin(drawn, np.arange(17)).all()


def test_gaussians_stand_where_a_trunk_takes_the_clusters(digits):
    """Glow is no identity at its start, so that what fits pixels does not fit its latents."""
    X, y = digits
    options = {**OPTIONS, "trunk": SPEC, "hedge": False}
    settings = {"model_options": options, "max_epochs": 0, "random_state": 0}
    mixture = FlowMixture(3, flow=None, **settings).fit(X)
    assert clustering_accuracy(y, mixture.predict(X, method="exact")) > 0.9
    assert bits_per_dim(mixture.score(X), 64) < 2.6


def test_a_flow_is_told_the_class(digits):
    X, y = digits
    codes = np.eye(3)[y]
    density = FlowDensity(SPEC, max_epochs=2, fit_options={"keep": "last"}, **FIT).fit(
        X, context=codes
    )
    scores = [density.score_samples(X, context=np.tile(code, (len(X), 1))) for code in np.eye(3)]
    assert (np.argmax(scores, 0) == y).mean() > 0.9


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X: X[:, :63], "63 features"),
        (lambda X: X + 0.5, "integers"),
        (lambda X: X + 10, "0..16|levels"),
        (lambda X: X * np.nan, "NaN"),
    ],
)
def test_images_that_cannot_be_are_named(digits, change, said):
    with pytest.raises(ValueError, match=said):
        FlowDensity(SPEC, max_epochs=1, **FIT).fit(change(digits[0]))


def test_alike_images_and_one():
    density = FlowDensity(SPEC, max_epochs=1, **FIT).fit(np.full((40, 64), 3.0))
    assert np.isfinite(density.score_samples(np.full((40, 64), 3.0))).all()
    with pytest.raises(ValueError, match="minimum of 2"):
        FlowDensity(SPEC, max_epochs=1, **FIT).fit(np.full((1, 64), 3.0))
