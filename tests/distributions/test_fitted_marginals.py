"""Kernel densities and splines with tails, beside what is known of their rows."""

import numpy as np
import pytest
import torch
from scipy import stats

from anabranch.distributions import KernelDensity, TailedSpline
from anabranch.functional.tails import make_tail
from anabranch.transforms import DistributionalTransform

STUDENT = {"name": "student", "df": 3.0}


def student(n, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).standard_t(3, size=(n, 1)))


def test_kernels_keep_mean_and_variance():
    x = student(1000)
    density = KernelDensity(1, kernels=20).double()
    density.fit_rows(x)
    draws = density.sample(200_000, generator=torch.Generator().manual_seed(0))
    # the variance is the rows' and that of the kernels
    band = 0.9 * min(x.std(), float(np.subtract(*np.percentile(x, [75, 25]))) / 1.349) * 1000**-0.2
    assert abs(draws.mean() - x.mean()) < 0.02
    expected = float(x.var(correction=0)) + float(band) ** 2
    assert float(draws.var()) == pytest.approx(expected, rel=0.05)


def test_kernels_weigh_rows():
    x = torch.tensor([[-3.0], [-2.0], [2.0], [3.0]])
    density = KernelDensity(1, batch_shape=(2,))
    density.fit_rows(x, torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]))
    median = density.icdf(torch.tensor([[0.5]]))
    assert torch.allclose(median.flatten(), torch.tensor([-2.5, 2.5]), atol=1e-3)


def test_prescribed_tails_reach_far_beyond_the_rows():
    marginal = TailedSpline(1, lower=STUDENT, upper=STUDENT, fit_share=0.5).double()
    marginal.fit_rows(student(20_000))
    shares = torch.tensor([[1e-5], [0.5], [1 - 1e-5]]).double()
    found = marginal.icdf(shares).flatten().numpy()
    truth = stats.t.ppf(shares.flatten().numpy(), 3)
    assert found[[0, 2]] == pytest.approx(truth[[0, 2]], rel=0.05)
    normal = TailedSpline(1).double()
    normal.fit_rows(student(20_000))
    assert float(normal.icdf(shares)[2]) < 0.5 * truth[2]


@pytest.mark.parametrize("upper", ["gaussian", "pareto", STUDENT])
def test_body_and_tail_meet_in_value_and_slope(upper):
    marginal = TailedSpline(1, upper=upper, bins=5).double()
    marginal.fit_rows(student(500))
    end = float(marginal.knots.flatten()[-1])
    beside = torch.tensor([[end - 1e-7], [end + 1e-7]]).double()
    assert torch.allclose(marginal.cdf(beside), torch.full((2, 1), 0.95).double(), atol=1e-6)
    density = marginal.log_prob(beside).exp()
    assert float(density[0]) == pytest.approx(float(density[1]), rel=1e-4)


def test_tails_are_those_of_scipy():
    s = torch.linspace(0.5, 8, 7).double()
    for tail, law in (
        (make_tail("gaussian"), stats.norm),
        (make_tail({"name": "pareto", "index": 0.4}), stats.genpareto(0.4)),
        (make_tail(STUDENT), stats.t(3)),
    ):
        assert np.allclose(tail.log_survival(s), law.logsf(s.numpy()), rtol=1e-9)
        assert np.allclose(tail.log_density(s), law.logpdf(s.numpy()), rtol=1e-9)
        assert torch.allclose(tail.inverse(tail.log_survival(s)), s, rtol=1e-8)
    with pytest.raises(ValueError, match="cauchy"):
        make_tail("cauchy")
    with pytest.raises(ValueError, match="'index'"):
        make_tail({"name": "student", "index": 1.0})


def test_wrong_shares():
    with pytest.raises(ValueError, match=r"tail_share.*0.7"):
        TailedSpline(1, tail_share=0.7)
    with pytest.raises(ValueError, match="Pareto"):
        TailedSpline(1, upper="pareto", fit_share=0.3)


def test_integers_alone_keep_their_probabilities():
    rows = torch.tensor([0.0, 0, 0, 1, 2, 2]).unsqueeze(-1)
    transform = DistributionalTransform(1, levels=3, smoothing=1e-6).eval().double()
    transform.fit_rows(rows.double())
    x = torch.tensor([[0.0], [1.0], [2.0]]).double()
    z, term = transform.encode(x)
    log_p = term - z.square().flatten() / 2 - 0.5 * np.log(2 * np.pi)
    assert torch.allclose(log_p.exp(), torch.tensor([3, 1, 2]).double() / 6, atol=1e-5)
