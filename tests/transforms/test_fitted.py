"""Linear maps, normalisation, permutations and preprocessing against references."""

import numpy as np
import pytest
import torch

from anabranch.transforms import (
    ActNorm,
    BatchNorm,
    Compose,
    Elementwise,
    Logit,
    LULinear,
    Permutation,
    PReLU,
    Standardize,
    TriangularAffine,
    UniformDequantization,
)
from anabranch.transforms.preprocessing import hashed_uniform
from tests.battery import check_log_det, check_round_trip, jacobian, same
from tests.registry import perturb, seeded

X = 3 * torch.randn(200, 2, generator=seeded(0), dtype=torch.float64) + 7


def random_gaussian(*batch, features=3):
    loc = torch.randn(*batch, features, generator=seeded(1), dtype=torch.float64)
    root = torch.randn(*batch, features, features, generator=seeded(2), dtype=torch.float64)
    return loc, torch.linalg.cholesky(root @ root.mT + 0.1 * torch.eye(features))


def test_set_gaussian_whitens():
    loc, tril = random_gaussian(4)
    transform = TriangularAffine(3, batch_shape=(4,)).double()
    transform.set_gaussian(loc, tril)
    z = torch.randn(9, 3, generator=seeded(3), dtype=torch.float64)
    x, term = transform.decode(z)
    same(x, (tril @ z.T).mT + loc.unsqueeze(-2), 1e-9)
    same(term, tril.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True).expand(4, 9), 1e-9)


def test_set_gaussian_of_a_diagonal_map_uses_the_diagonal_only():
    loc, tril = random_gaussian()
    transform = TriangularAffine(3, diagonal=True).double()
    transform.set_gaussian(loc, torch.diag(tril.diagonal()))
    x, _ = transform.decode(torch.ones(1, 3, dtype=torch.float64))
    same(x[0], loc + tril.diagonal())


def test_triangular_stays_within_its_bound_of_where_it_was_set():
    transform = TriangularAffine(2, bound=1.0)
    transform.set_gaussian(torch.zeros(2), 1e4 * torch.eye(2))
    with torch.no_grad():
        transform.log_scale.fill_(1e6)
    _, term = transform.encode(torch.zeros(1, 2))
    assert term.item() == pytest.approx(2 * (1 - np.log(1e4)), rel=1e-5)


@pytest.mark.parametrize("features", [1, 2, 5, 16, 64])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 3e-3)])
def test_lu_of_random_weights_of_any_size_inverts(features, dtype, tolerance):
    """A peer's error here is 2.5e20."""
    for scale in (1.0, 20.0):
        transform = LULinear(features, generator=seeded(0))
        perturb(transform, std=1.0, scale=scale).to(dtype)
        x = torch.randn(50, features, generator=seeded(1), dtype=dtype)
        check_round_trip(transform, x, tolerance=tolerance)


def test_lu_has_the_determinant_of_its_matrix_and_signs():
    transform = perturb(LULinear(6, generator=seeded(4)).double(), std=1.0)
    matrix = jacobian(lambda x: transform.encode(x)[0], torch.zeros(1, 6, dtype=torch.float64))[0]
    same(torch.linalg.slogdet(matrix)[1], transform.encode(torch.zeros(1, 6).double())[1][0], 1e-9)
    assert (transform.sign < 0).any(), "reflections are reachable"
    assert not torch.equal(transform.permutation, torch.eye(6).double())


def test_lu_stack_has_its_own_permutations():
    transform = LULinear(8, batch_shape=(3,), generator=seeded(0))
    assert not torch.equal(transform.permutation[0], transform.permutation[1])
    assert torch.equal(transform.permutation.sum(-1), torch.ones(3, 8))


def test_actnorm_initialises_to_zero_mean_and_unit_variance():
    norm = ActNorm(2).double()
    z, term = norm.initialize(X)
    same(z.mean(0), torch.zeros(2).double(), 1e-9)
    same(z.var(0, correction=0), torch.ones(2).double(), 1e-9)
    same(term, -X.std(0, correction=0).log().sum().expand(200), 1e-9)


def test_actnorm_of_one_row_is_finite():
    norm = ActNorm(2)
    z, term = norm.initialize(torch.tensor([[5.0, -1e6]]))
    assert not z.any()
    assert not term.any()


def test_actnorm_leaves_a_constant_feature_at_scale_one():
    norm = ActNorm(2).double()
    x = torch.cat((X[:, :1], torch.full((200, 1), 3.0).double()), -1)
    z, _ = norm.initialize(x)
    assert not z[:, 1].any()
    same(z[:, 0].std(correction=0), torch.tensor(1.0).double(), 1e-9)


def test_actnorm_is_never_initialised_by_a_first_batch():
    norm = ActNorm(2).double().train()
    same(norm.encode(X)[0], X)


def test_stack_may_be_initialised_from_own_points():
    norm = ActNorm(2, batch_shape=(2,)).double()
    z, _ = norm.initialize(torch.stack((X, 10 * X - 3)))
    same(z.mean(1), torch.zeros(2, 2).double(), 1e-9)
    same(z.std(1, correction=0), torch.ones(2, 2).double(), 1e-9)


@pytest.mark.parametrize("kind", [ActNorm, BatchNorm, Standardize])
def test_a_shared_layer_behind_a_stack_sees_all_components(kind):
    stack = TriangularAffine(2, batch_shape=(3,))
    stack.set_gaussian(torch.randn(3, 2, generator=seeded(5)), torch.eye(2).expand(3, 2, 2))
    transform = Compose([stack, kind(2)]).double().eval()
    transform.initialize(X)
    z = transform.encode(X)[0].flatten(0, 1)
    same(z.mean(0), torch.zeros(2).double(), 1e-5)
    same(z.std(0, correction=0), torch.ones(2).double(), 1e-5)


@pytest.mark.parametrize("batch_shape", [(), (3,)])
def test_batchnorm_in_training(batch_shape):
    norm = perturb(BatchNorm(2, batch_shape=batch_shape).double()).train()
    z, term = norm.encode(X)
    var, mean = torch.var_mean(X, 0, correction=0)
    gamma, beta = torch.exp(5 * torch.tanh(norm.log_gamma / 5)), norm.beta
    expected = gamma * (X - mean) / torch.sqrt(var + 1e-5) + beta
    same(z, expected.expand(*batch_shape, 200, 2), 1e-9)
    log_scale = torch.log(gamma) - 0.5 * torch.log(var + 1e-5)
    same(term, log_scale.sum(-1).expand(*batch_shape, 200), 1e-9)
    back, back_term = norm.decode(z)
    same(back, X.expand_as(back), 1e-9)
    same(back_term, -term, 1e-9)


def test_batchnorm_running_averages():
    norm = BatchNorm(2, momentum=0.75).double().train()
    mean, var = torch.zeros(2).double(), torch.ones(2).double()
    for batch in X.split(50):
        norm.encode(batch)
        mean = 0.75 * mean + 0.25 * batch.mean(0)
        var = 0.75 * var + 0.25 * batch.var(0, correction=0)
    same(norm.running_mean[0], mean)
    same(norm.running_var[0], var)
    norm.eval()
    same(norm.encode(X)[0], (X - mean) / torch.sqrt(var + 1e-5))
    check_log_det(norm, X[:5])


def test_batchnorm_behind_a_stack_in_training():
    stack = TriangularAffine(2, batch_shape=(3,))
    stack.set_gaussian(torch.randn(3, 2, generator=seeded(5)), torch.eye(2).expand(3, 2, 2))
    z, _ = Compose([stack, BatchNorm(2)]).double().train().encode(X)
    same(z.flatten(0, 1).mean(0), torch.zeros(2).double(), 1e-6)


def test_batchnorm_gradient_flows_through_the_statistics():
    x = X[:4].clone().requires_grad_()
    BatchNorm(2).double().train().encode(x)[0].sum().backward()
    same(x.grad, torch.zeros_like(x), 1e-9)


def test_batchnorm_refuses_one_row_in_training_only():
    norm = BatchNorm(2)
    norm.eval().encode(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="at least two rows"):
        norm.train().encode(torch.zeros(1, 2))


def test_batchnorm_in_evaluation_changes_nothing():
    norm = BatchNorm(2).double().eval()
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    norm.encode(X)
    assert all(torch.equal(before[k], v) for k, v in norm.state_dict().items())


def test_permutation_refuses_what_is_none():
    for order in ([0, 0, 1], [1, 2, 3]):
        with pytest.raises(ValueError, match=r"permutation of 0\.\.2"):
            Permutation(order)


def test_loading_a_permutation_brings_its_inverse():
    source, target = Permutation([2, 0, 1]), Permutation([0, 1, 2])
    target.load_state_dict(source.state_dict())
    x = torch.tensor([[1.0, 2.0, 3.0]])
    assert target.decode(target.encode(x)[0])[0].tolist() == x.tolist()


def test_standardize_takes_population_statistics():
    transform = Standardize(2).double()
    z, term = transform.initialize(X)
    same(z, (X - X.mean(0)) / X.std(0, correction=0), 1e-9)
    same(term, -X.std(0, correction=0).log().sum().expand(200), 1e-9)


def test_standardize_of_large_and_of_constant_features():
    offset = torch.tensor([1e7, 5.0])
    x = torch.cat((torch.arange(100.0).unsqueeze(-1), torch.zeros(100, 1)), -1) + offset
    transform = Standardize(2)
    z, _ = transform.initialize(x)
    assert z[:, 0].std(correction=0).item() == pytest.approx(1.0, rel=1e-3)
    assert transform.scale[1].item() == 1.0
    assert not z[:, 1].any()


@pytest.mark.parametrize("alpha", [0.05, 1e-6])
def test_logit_formula_and_support(alpha):
    x = torch.tensor([[0.0], [0.3], [1.0]], dtype=torch.float64)
    z, term = Logit(1, alpha=alpha).encode(x)
    s = alpha + (1 - 2 * alpha) * x
    same(z, torch.logit(s), 1e-7)
    same(term, (np.log(1 - 2 * alpha) - s.log() - torch.log1p(-s)).squeeze(-1), 1e-7)
    margin = alpha / (1 - 2 * alpha)
    edge = torch.tensor([[-1.01 * margin], [1 + 1.01 * margin], [1e30]], dtype=torch.float64)
    z, term = Logit(1, alpha=alpha).encode(edge)
    assert not z.any()
    assert (term == -torch.inf).all()
    inner = torch.tensor([[-0.99 * margin], [1 + 0.99 * margin]], dtype=torch.float64)
    assert torch.isfinite(Logit(1, alpha=alpha).encode(inner)[1]).all()


def test_logit_gradient_is_finite_outside():
    x = torch.tensor([[-5.0], [0.5], [7.0]], requires_grad=True)
    z, _ = Logit(1).encode(x)
    z.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0, 1.0])
def test_logit_refuses_a_wrong_margin(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 0.5\)"):
        Logit(2, alpha=alpha)


@pytest.mark.parametrize("levels", [2, 3, 255, 256])
@pytest.mark.parametrize("training", [False, True])
def test_dequantization_gives_every_integer_back(levels, training):
    """Also where u rounds up: a 24-bit u added to 255 would sometimes be 256."""
    transform = UniformDequantization(4, levels=levels).train(training)
    x = torch.randint(0, levels, (100_000, 4), generator=seeded(1)).float()
    z, _ = transform.encode(x, generator=seeded(0))
    assert ((z > 0) & (z < 1)).all()
    assert torch.equal(transform.decode(z)[0], x)


def test_dequantization_rounding_edge(monkeypatch):
    for u in (0.0, 1 - 2**-24):
        monkeypatch.setattr(
            "anabranch.transforms.preprocessing.hashed_uniform",
            lambda x, u=u: torch.full_like(x, u),
        )
        for levels in (3, 100, 256):
            transform = UniformDequantization(1, levels=levels).eval()
            x = torch.arange(float(levels)).unsqueeze(-1)
            assert torch.equal(transform.decode(transform.encode(x)[0])[0], x)


def test_dequantization_in_evaluation_depends_on_the_row_only():
    transform = UniformDequantization(3, levels=256).eval()
    x = torch.randint(0, 256, (50, 3), generator=seeded(2)).float()
    z, _ = transform.encode(x)
    assert torch.equal(transform.encode(x.flip(0))[0].flip(0), z)
    assert torch.equal(transform.encode(x[:1])[0], z[:1])


def test_dequantization_in_training_is_random_and_follows_its_generator():
    x, transform = torch.zeros(50, 3), UniformDequantization(3).train()
    first, second, again = (transform.encode(x, generator=seeded(seed))[0] for seed in (0, 1, 0))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_hashed_noise_is_uniform_over_data():
    """Kolmogorov-Smirnov over neighbouring integers, and no correlation between features."""
    from scipy import stats

    grid = torch.cartesian_prod(torch.arange(60.0), torch.arange(60.0))
    u = hashed_uniform(grid).double().numpy()
    assert stats.kstest(u[:, 0], "uniform").pvalue > 1e-3
    assert stats.kstest(u[:, 1], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u.T)[0, 1]) < 0.06
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.06


def test_dequantization_refuses_one_level():
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        UniformDequantization(2, levels=1)


def test_prelu_and_lu_make_a_piecewise_affine_map():
    transform = perturb(Compose([LULinear(2), Elementwise(PReLU(), 2), LULinear(2)]).double())
    matrices = jacobian(lambda x: transform.encode(x)[0], X - 7)
    assert len(torch.unique(matrices.flatten(1).mul(1e6).round(), dim=0)) == 4
