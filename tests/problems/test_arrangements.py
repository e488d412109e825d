import numpy as np
import pytest

from anabranch.problems import (
    Moons,
    Pinwheel,
    SineChain,
    concentric_gaussians,
    corner_gaussians,
    draw_around,
    gaussian_grid,
    gaussian_ring,
    random_gaussian,
    sample_unbalanced,
    unlike_gaussians,
)

# of the rows that the recorded results were made from: 300 rows, seed 0
RECORDED = {
    gaussian_ring: (-4.133789800421994, 1065),
    gaussian_grid: (65.53778307483185, 1307),
    unlike_gaussians: (1155.9305757298343, 389),
    corner_gaussians: (1429.7529125995943, 445),
    concentric_gaussians: (-1448.521961033037, 367),
}


@pytest.mark.parametrize("make", RECORDED)
def test_draws_are_those_of_the_recorded_results(make):
    X, labels = make().sample(300, random_state=0)
    assert (X.sum(), labels.sum()) == (pytest.approx(RECORDED[make][0]), RECORDED[make][1])


def test_draws_in_order_are_those_of_the_recorded_results():
    X, labels = draw_around(gaussian_ring().means, 0.05, 5000, random_state=0)
    assert (X.sum(), labels.sum()) == (pytest.approx(-147.60897981798865), 17564)
    assert (X - gaussian_ring().means[labels]).std() == pytest.approx(0.05, rel=0.05)
    random = np.random.RandomState(0)
    sums = [SineChain().sample(n, random)[0].sum() for n in (3000, 1000, 10_000)]
    assert sums == pytest.approx([-379.27463081349833, -59.632413381988385, 85.36506377996781])
    X, labels = sample_unbalanced(Pinwheel(3), [0.6, 0.3, 0.1], 3000, seed=0)
    assert (X.sum(), labels.sum()) == (pytest.approx(565.8198319456849), 1500)


def test_the_four_unlike_gaussians_hardly_overlap():
    problem = unlike_gaussians()
    X, y = problem.sample(4000, random_state=0)
    assert 0.93 < (problem.posterior(X).argmax(1) == y).mean() < 1


def test_the_spacings_are_as_asked():
    assert np.hypot(*gaussian_ring(6, radius=3.0).means.T) == pytest.approx(np.full(6, 3.0))
    assert np.unique(gaussian_grid(2, spacing=0.5).means).tolist() == [-0.25, 0.25]
    assert np.ptp(corner_gaussians(7.0).means, axis=0).tolist() == [7.0, 7.0]


def test_a_random_gaussian_has_the_covariance_of_its_draw():
    factor = np.random.RandomState(3).standard_normal((4, 4))
    expected = factor @ factor.T + 0.1 * np.eye(4)
    assert random_gaussian(4, random_state=3).covariances[0] == pytest.approx(expected)


def test_noise_of_the_chain_is_laplacian():
    X, _ = SineChain().sample(10_000, random_state=100)
    noise = X[:, 1] - np.sin(2 * X[:, 0])
    assert np.abs(noise).mean() == pytest.approx(0.3, abs=0.01)
    assert (noise**2).mean() == pytest.approx(0.18, abs=0.01)


def test_unbalanced_rows_hold_their_shares():
    X, y = sample_unbalanced(Pinwheel(3), [0.6, 0.3, 0.1], 1000, seed=0)
    assert np.bincount(y).tolist() == [600, 300, 100]
    assert X.shape == (1000, 2)
    with pytest.raises(ValueError, match="one for each of 2 components"):
        sample_unbalanced(Moons(), [1.0], 10, seed=0)
