import numpy as np
import pytest

from anabranch.problems import (
    PROBLEMS,
    Banana,
    GaussianMixtureProblem,
    Mixture1D,
    Moons,
    Pinwheel,
    Problem,
    SineChain,
    TwoCircles,
)

# Noise wide enough for a grid to resolve.
COARSE = {
    "pinwheel": Pinwheel(),
    "pinwheel, folded": Pinwheel(3, radial_std=0.6, tangential_std=0.4, rate=0.5, scale=1.0),
    "two-circles": TwoCircles(radial_std=0.05),
    "two-circles, wide": TwoCircles(radii=(1.0, 0.2), radial_std=0.2),
    "gaussian-mixture": GaussianMixtureProblem(),
    "banana": Banana(),
    "mixture-1d": Mixture1D(),
    "sine-chain": SineChain(2),
    "moons": Moons(),
    "moons, narrow": Moons(noise=0.03),
}
# Half width and number of cells.
GRIDS = {
    "pinwheel": (1.5, 200),
    "pinwheel, folded": (3.7, 200),
    "two-circles": (1.3, 300),
    "two-circles, wide": (2.4, 400),
    "gaussian-mixture": (9.0, 200),
    "banana": (20.0, 400),
    "mixture-1d": (9.0, 400),
    "sine-chain": (12.0, 480),
    "moons": (3.0, 80),
    "moons, narrow": (2.3, 130),
}
# A fold has an inverse square root singularity, the origin of a wide circle a pole, Laplace a kink.
TOLERANCE = {"pinwheel, folded": 0.02, "two-circles, wide": 0.01, "sine-chain": 1e-3}


@pytest.mark.parametrize("name", COARSE)
def test_each_component_integrates_to_one(name):
    problem = COARSE[name]
    half, cells = GRIDS[name]
    axis = (np.arange(cells) + 0.5) / cells * 2 * half - half
    grid = np.stack(np.meshgrid(*[axis] * problem.n_features), axis=-1)
    density = np.exp(problem.component_log_prob(grid.reshape(-1, problem.n_features)))
    mass = density.sum(axis=0) * (2 * half / cells) ** problem.n_features
    assert mass == pytest.approx(np.ones(problem.n_components), abs=TOLERANCE.get(name, 1e-4))


@pytest.mark.parametrize("name", COARSE)
def test_samples_follow_the_density(name):
    """Counts in the cells of a coarse grid against the integral of the density over them."""
    problem = COARSE[name]
    X, labels = problem.sample(20_000, random_state=1)
    low, high = X.min(axis=0), X.max(axis=0)
    cells, fine = (8, 24 if name in TOLERANCE else 16) if problem.n_features == 2 else (40, 200)
    axes = [
        a + (np.arange(cells * fine) + 0.5) * (b - a) / (cells * fine)
        for a, b in zip(low, high, strict=True)
    ]
    X_grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    density = np.exp(problem.log_prob(X_grid.reshape(-1, problem.n_features)))
    blocks = density.reshape([cells, fine] * problem.n_features)
    inner = tuple(range(1, 2 * problem.n_features, 2))
    expected = blocks.mean(axis=inner) * np.prod((high - low) / cells) * len(X)
    edges = [np.linspace(a, b, cells + 1) for a, b in zip(low, high, strict=True)]
    counts = np.histogramdd(X, edges)[0]
    big = expected > 20
    z_scores = (counts[big] - expected[big]) / np.sqrt(expected[big])
    assert np.abs(z_scores).max() < 4.5
    frequencies = np.bincount(labels, minlength=problem.n_components) / len(X)
    assert frequencies == pytest.approx(problem.weights, abs=0.015)


@pytest.mark.parametrize("name", COARSE)
def test_entropy_is_the_mean_of_minus_log_prob(name):
    problem = COARSE[name]
    exact = problem.entropy(n=5000)
    estimate = Problem.entropy(problem, n=5000, random_state=3)
    error = np.hypot(exact.standard_error, estimate.standard_error)
    assert exact.value == pytest.approx(estimate.value, abs=4.5 * error)
    assert 0 < estimate.standard_error < 0.05


@pytest.mark.parametrize(
    ("problem", "nats", "tolerance"),
    [
        (Pinwheel(), -1.1432, 0.03),
        (Pinwheel(rate=0.25), -1.143, 0.03),
        (Pinwheel(rate=0.25, scale=10), 4.853, 0.03),
        (Banana(), 3.5310, 1e-4),
        (Mixture1D(), 1.5948, 1e-4),
        (SineChain(3), 3 * np.log(2 * np.e) + 2 * np.log(0.3), 1e-9),
        (TwoCircles(radial_std=0.005), -1.918, 1e-3),
        (TwoCircles(radial_std=0.02), -0.532, 1e-3),
        # The printed 0.385 leaves out the curvature: E log|x| is log r - σ²/(2 r²).
        (TwoCircles(radial_std=0.05), 0.385 - 0.05**2 / 4 * (0.8**-2 + 0.4**-2), 1e-3),
    ],
)
def test_entropy_has_the_published_value(problem, nats, tolerance):
    assert problem.entropy(n=20_000).value == pytest.approx(nats, abs=tolerance)


@pytest.mark.parametrize("name", PROBLEMS)
def test_contract(name):
    problem = PROBLEMS[name]()
    X, labels = problem.sample(200, random_state=0)
    assert X.shape == (200, problem.n_features)
    assert X.dtype == np.float64
    assert labels.dtype == np.int64
    assert set(labels) == set(range(problem.n_components))
    assert problem.weights.sum() == pytest.approx(1)
    assert problem.component_log_prob(X).shape == (200, problem.n_components)
    posterior = problem.posterior(X)
    assert posterior.sum(axis=1) == pytest.approx(np.ones(200))
    joint = np.exp(problem.component_log_prob(X)) * problem.weights
    assert posterior * joint.sum(axis=1, keepdims=True) == pytest.approx(joint, rel=1e-9)
    again = problem.sample(200, random_state=0)
    assert np.array_equal(X, again[0])
    assert np.array_equal(labels, again[1])
    assert not np.array_equal(X, problem.sample(200, random_state=1)[0])


@pytest.mark.parametrize("name", PROBLEMS)
def test_balanced_samples_come_in_random_order(name):
    problem = PROBLEMS[name]()
    X, labels = problem.sample_per_component(50, random_state=0)
    assert X.shape == (50 * problem.n_components, problem.n_features)
    assert np.bincount(labels).tolist() == [50] * problem.n_components
    if problem.n_components > 1:
        assert (np.diff(labels) < 0).any()
        assert (problem.posterior(X).argmax(axis=1) == labels).mean() > 0.9


def test_sampling_touches_no_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is the subject
    for problem in PROBLEMS.values():
        problem().sample(10, random_state=0)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", PROBLEMS)
def test_far_points_and_the_origin_have_a_density(name):
    problem = PROBLEMS[name]()
    X = np.outer([0.0, 1e-9, 3.0, 30.0, 1e6], np.ones(problem.n_features))
    assert np.isfinite(problem.log_prob(X)).all()
    assert problem.posterior(X).sum(axis=1) == pytest.approx(np.ones(len(X)))


@pytest.mark.parametrize("name", PROBLEMS)
def test_no_points_give_empty_arrays(name):
    problem = PROBLEMS[name]()
    X, labels = problem.sample(0, random_state=0)
    assert X.shape == (0, problem.n_features)
    assert labels.shape == (0,)
    assert problem.log_prob(X).shape == (0,)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((3, 7)), np.zeros((2, 2, 2))])
def test_a_wrong_shape_is_named(bad):
    with pytest.raises(ValueError, match=r"X has shape .*, expected \(n, 2\)"):
        Banana().log_prob(bad)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="X holds NaN or infinity"):
        Pinwheel().log_prob([[np.nan, 0.0]])
    with pytest.raises(ValueError, match="rate is -1"):
        Pinwheel(rate=-1)
    with pytest.raises(ValueError, match="n is -3"):
        Pinwheel().sample(-3)
    with pytest.raises(ValueError, match="n is 1, expected at least 2"):
        Pinwheel().entropy(n=1)
    with pytest.raises(ValueError, match="radial_std is 0"):
        TwoCircles(radial_std=0)
    with pytest.raises(ValueError, match="radii has 3 values"):
        TwoCircles(radii=(1.0, 2.0, 3.0))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="n is 7, expected an even number"):
        TwoCircles().labelled_sample(7)
    with pytest.raises(ValueError, match=r"noise is 0\.001"):
        Moons(noise=0.001)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": [0.5, 0.4, 0.2]}, "weights is .* sum 1"),
        ({"weights": [0.5, 0.5]}, r"weights has shape \(2,\), expected \(3,\)"),
        ({"means": [0.0, 1.0]}, r"means has shape \(2,\)"),
        ({"covariances": np.eye(2)}, r"covariances has shape \(2, 2\), expected \(3, 2, 2\)"),
        ({"covariances": [[[1, 2], [2, 1]]] * 3}, "not positive definite"),
        ({"covariances": [[[1, 0.5], [0, 1]]] * 3}, "not symmetric"),
    ],
)
def test_a_gaussian_mixture_checks_its_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureProblem(**changes)


def test_one_gaussian_has_a_closed_form():
    covariance = np.array([[2.0, 0.3], [0.3, 0.5]])
    problem = GaussianMixtureProblem(np.ones(1), np.array([[1.0, 2.0]]), covariance[None])
    expected = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    assert problem.entropy() == (pytest.approx(expected), 0.0)


def test_labelled_circles_are_balanced():
    X, labels = TwoCircles().labelled_sample(64, random_state=0)
    assert np.bincount(labels).tolist() == [32, 32]
    assert np.hypot(*X.T) == pytest.approx(np.array([0.8, 0.4])[labels], abs=0.03)


def test_the_distribution_function_is_the_integral_of_the_density():
    problem = Mixture1D()
    x = np.linspace(-6, 6, 4001)
    density = np.exp(problem.log_prob(x[:, None]))
    assert np.gradient(problem.cdf(x), x)[1:-1] == pytest.approx(density[1:-1], abs=1e-5)
