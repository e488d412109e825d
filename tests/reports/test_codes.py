"""The report of a variational autoencoder: codes, active units and reconstructions."""

import re

import numpy as np
import pytest

from anabranch import FlowVAE
from anabranch.reports import build_report

QUICK = {"hidden": (8,), "max_epochs": 2, "random_state": 0, "objective": {"score_draws": 5}}


@pytest.fixture(scope="module")
def table():
    random = np.random.RandomState(0)
    X = random.randn(80, 1) * [1.0, -2.0, 0.5] + 0.1 * random.randn(80, 3)
    model = FlowVAE(2, posterior="diagonal", learning_rate=2e-2, **{**QUICK, "max_epochs": 30})
    return model.fit(X), X


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", html, flags=re.S))


def test_codes_of_a_table(table):
    model, X = table
    page = text_of(build_report(model, X, np.arange(80) % 3 - 1))
    usage = model.code_usage(X)
    assert usage.active.any()
    assert f"{usage.active.sum()} of 2 numbers of a code are active" in page
    assert all(word in page for word in ("Codes", "Reconstructions", "variance of means", "told"))
    told = 1 - np.square(X - model.reconstruct(X)).mean(0) / X.var(0)
    assert f"{told.min():.1%}" in page


def test_images_stand_above_what_their_codes_tell():
    bits = (np.random.RandomState(0).rand(40, 16) < 0.3).astype(float)
    model = FlowVAE(2, likelihood="bernoulli", **QUICK).fit(bits)
    page = build_report(model, bits, image_shape=(4, 4))
    assert "by their codes" in text_of(page)
    assert page.count("data:image/png") >= 4


def test_usage_is_told_of_all_draws(table):
    model, X = table
    usage = model.code_usage(X, n_draws=400)
    assert np.abs(usage.means - model.transform(X)).mean() < 0.1
    assert usage.total == pytest.approx(usage.divergence.sum(), rel=0.1)
    assert model.sample_codes(4000).std(0) == pytest.approx([1, 1], abs=0.05)
    with pytest.raises(ValueError, match="n_draws must be at least 2"):
        model.code_usage(X, n_draws=1)
