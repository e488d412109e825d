"""Rows that stand apart: what is one and what is not, and the share of the density for them."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_t, norm

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.mixed_gaussians import MixedParameters
from anabranch.models import flow_mixture
from anabranch.procedures.mixture_starts import set_categories
from anabranch.procedures.stray_rows import (
    Fence,
    broad_share,
    learn_contamination,
    robust_scales,
)
from anabranch.procedures.table_task import joint_of_known
from tests.registry import seeded


def stray(X, kept=None):
    return np.flatnonzero(Fence.of(X, kept).outside(X)).tolist()


def body(n=300):
    return np.random.RandomState(0).randn(n, 2)


@pytest.mark.parametrize("value", [1e2, -1e3, 99999.0, 1e6])
def test_a_row_far_from_all_others_is_stray(value):
    X = body()
    X[7, 1] = value
    assert stray(X) == [7]
    assert stray(1e9 + 1e-3 * X) == [7]  # in any unit
    X[3, 1] = X[4, 0] = value  # a few of them
    assert stray(X) == [3, 4, 7]


def test_tails_and_clusters_are_none():
    random = np.random.RandomState(1)
    assert stray(body()) == []
    assert stray(random.lognormal(sigma=2, size=(3000, 1))) == []
    small = np.r_[body(), 200 + body(30)]
    assert stray(small) == []
    assert stray(np.r_[body(9), [[1e6, 0]]][:9]) == []
    flag = np.c_[body(), np.arange(300) < 3]
    assert stray(flag) == []


def test_labelled_rows_are_none():
    X, labelled = body(), np.zeros(300, bool)
    X[7] = 1e4
    X[8] = 1e9
    labelled[7] = True
    assert stray(X, labelled) == [8]


def test_missing_cells_do_not_hide_them():
    X = body()
    X[::3, 0] = np.nan
    X[4] = np.nan, 1e5
    assert stray(X) == [4]


def test_scales_of_normal_columns_are_their_deviations():
    X = np.random.RandomState(2).randn(20_000, 2) * [1.0, 50.0]
    assert robust_scales(X) == pytest.approx([1.0, 50.0], rel=0.03)
    assert robust_scales(np.ones((20, 1))) == 0


def test_the_share_is_learned_from_rows_and_from_those_set_apart():
    mixture = flow_mixture(2, 2, flow=None, contamination=0.1, seed=0).mixture
    x = mixture.sample(4000, generator=seeded(0))
    learn_contamination(mixture, x, 0, given=None)
    assert float(mixture.share) == pytest.approx(0.1, abs=0.015)
    learn_contamination(mixture, torch.zeros(900, 2), 100, given=None)
    # a row in the middle is of the broad density with 1 in 91 at this share
    assert float(mixture.share) == pytest.approx(0.11, abs=0.01)
    learn_contamination(mixture, x, 0, given=0.25)
    assert float(mixture.share) == pytest.approx(0.25)
    plain = flow_mixture(2, 2, flow=None, seed=0).mixture
    learn_contamination(plain, x, 0, given=0.25)
    assert broad_share(plain, x, plain.log_prob(x)).tolist() == [0.0] * 4000


@pytest.mark.parametrize("changes", [{"flow": None}, {"hedge": True}, {"categories": [2]}])
def test_what_belongs_to_none_by_bayes(changes):
    mixture = flow_mixture(2, 2, contamination=0.2, seed=0, **changes).double().mixture
    x = torch.tensor([[0.5, -1.0, 1.0], [40.0, 3.0, 0.0]]).double()
    x = x[:, : 2 + len(changes.get("categories", ()))]
    # at the start, both components are standard normals, and categories are even
    even = -np.log(2) if "categories" in changes else 0.0
    broad = multivariate_t(np.zeros(2), 9 * np.eye(2), 2).logpdf(x[:, :2])
    inside = norm.logpdf(x[:, :2].numpy()).sum(1)
    joint = np.stack([np.log(0.8) + inside, np.log(0.2) + broad])
    total = logsumexp(joint, axis=0)
    log_prob = mixture.log_prob(x).detach()
    assert log_prob.numpy() == pytest.approx(total + even)
    found = broad_share(mixture, x, log_prob).numpy()
    assert found == pytest.approx(np.exp(joint[1] - total))


def test_categories_of_stray_rows_are_those_of_all():
    model = flow_mixture(1, 2, flow=None, categories=[3], contamination=0.5, seed=0)
    model.mixture.set_weights(torch.tensor([0.25, 0.75]))
    set_categories(model, [np.array([[0.8, 0.1, 0.1], [0.2, 0.3, 0.5]])])
    x = torch.tensor([[500.0, k] for k in range(3)])
    found = model.mixture.broad_log_prob(x).exp() / model.mixture.broad_log_prob(x).exp().sum()
    assert found.tolist() == pytest.approx([0.35, 0.25, 0.4])


def test_a_stray_row_with_gaps_is_summed_exactly():
    mixture = flow_mixture(3, 2, flow=None, contamination=0.05, seed=0).mixture
    gaussian = GaussianParameters(np.full(2, 0.5), np.zeros((2, 3)), np.stack([np.eye(3)] * 2))
    z = torch.tensor([[1e4, torch.nan, torch.nan], [0.3, torch.nan, 1.0]])
    found = torch.logsumexp(joint_of_known(mixture, MixedParameters(gaussian, ()), z), 0)
    far = multivariate_t(np.zeros(1), [[9.0]], 2).logpdf([1e4])
    near = multivariate_t(np.zeros(2), 9 * np.eye(2), 2).logpdf([0.3, 1.0])
    inside = norm.logpdf([0.3, 1.0]).sum()
    assert found[0].item() == pytest.approx(np.log(0.05) + far, abs=1e-4)
    expected = np.logaddexp(np.log(0.95) + inside, np.log(0.05) + near)
    assert found[1].item() == pytest.approx(expected, abs=1e-4)
    assert broad_share(mixture, z, found)[0].item() == pytest.approx(1)
