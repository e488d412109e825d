"""Vines: Gaussian ones are multivariate normals, and the Rosenblatt transform makes uniforms."""

import pytest
import torch
from scipy import stats

from anabranch.distributions import Flow, Normal
from anabranch.functional.pair_copulas import pair_copula
from anabranch.transforms import CVine, DVine
from tests.battery import same
from tests.registry import perturb, seeded

D = 5
KINDS = (CVine, DVine)


def correlation():
    a = torch.randn(D, 2 * D, generator=seeded(3), dtype=torch.float64)
    covariance = a @ a.mT
    scale = covariance.diagonal().rsqrt()
    return scale[:, None] * covariance * scale


def partial(matrix, i, j, given):
    """The correlation of i and j given others, from the inverse of their own block."""
    inverse = torch.linalg.inv(matrix[[i, j, *given]][:, [i, j, *given]])
    return -inverse[0, 1] / (inverse[0, 0] * inverse[1, 1]).sqrt()


def pairs(kind):
    """Both ends of each pair and what lies before or between them, tree by tree."""
    if kind is CVine:
        return [[(k, j, range(k)) for j in range(k + 1, D)] for k in range(D - 1)]
    return [[(j - k, j, range(j - k + 1, j)) for j in range(k, D)] for k in range(1, D)]


def gaussian(kind, matrix):
    vine = kind(D).double()
    trees = [torch.stack([partial(matrix, *pair) for pair in tree]) for tree in pairs(kind)]
    vine.set_pairs(trees)
    return vine


@pytest.mark.parametrize("kind", KINDS)
def test_a_gaussian_vine_is_the_normal_copula(kind):
    matrix = correlation()
    vine = gaussian(kind, matrix)
    x = 2 * torch.randn(50, D, generator=seeded(1), dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(
        torch.zeros(D, dtype=torch.float64), covariance_matrix=matrix
    )
    alone = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1)
    same(vine.log_copula_density(x).detach(), normal.log_prob(x) - alone, 1e-10)
    same(Flow(Normal(D).double(), vine).log_prob(x).detach(), normal.log_prob(x), 1e-10)
    # both are the Rosenblatt transform in this order of the variables: whitening by Cholesky
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(matrix), x.mT, upper=False).mT
    same(vine.encode(x)[0].detach(), whitened, 1e-10)


def test_draws_of_a_gaussian_vine_have_its_correlations():
    matrix = correlation()
    x = Flow(Normal(D).double(), gaussian(DVine, matrix)).sample(20_000, generator=seeded(2))
    assert (torch.corrcoef(x.detach().mT) - matrix).abs().max() < 0.03


def test_rosenblatt_makes_independent_uniforms_of_clayton_draws():
    """Draws are made here by the mixture of gammas that Clayton's copula is, in any dimension."""
    theta, n = 2.0, 4000
    frailty = stats.gamma(1 / theta).rvs((n, 1), random_state=0)
    u = (1 + stats.expon.rvs(size=(n, 3), random_state=1) / frailty) ** (-1 / theta)
    # conditionals of Clayton's copula are Clayton's, of theta / (1 + k theta) in tree k
    trees = [torch.full((2,), theta), torch.full((1,), theta / (1 + theta))]
    for kind in KINDS:
        vine = kind(3, families="clayton").double()
        vine.set_pairs([tree.double() for tree in trees])
        with torch.no_grad():
            z, _ = vine.encode(torch.special.ndtri(torch.from_numpy(u)))
        for column in z.T:
            assert stats.kstest(column, "norm").pvalue > 0.01
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert abs(stats.kendalltau(z[:, i], z[:, j]).statistic) < 0.03
        tau = stats.kendalltau(*vine.decode(z)[0].detach()[:, :2].T).statistic
        assert tau == pytest.approx(theta / (theta + 2), abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_pair_of_a_vine_is_its_family(kind):
    x = torch.randn(30, 2, generator=seeded(4), dtype=torch.float64)
    vine = kind(2, families="clayton90").double()
    vine.set_pairs([torch.tensor([1.5], dtype=torch.float64)])
    pair = pair_copula("clayton90")
    raw = pair.raw(torch.tensor(1.5, dtype=torch.float64))
    expected = pair.log_density(x[:, 1], x[:, 0], raw)
    same(vine.log_copula_density(x).detach(), expected, 1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_trees_left_out_are_independent_pairs(kind):
    x = torch.randn(30, 4, generator=seeded(5), dtype=torch.float64)
    short, long = kind(4, trees=1).double(), kind(4).double()
    first = torch.tensor([0.5, -0.3, 0.8], dtype=torch.float64)
    short.set_pairs([first])
    long.set_pairs([first, torch.zeros(2).double(), torch.zeros(1).double()])
    for got, wanted in zip(short.encode(x), long.encode(x), strict=True):
        same(got.detach(), wanted.detach(), 1e-12)
    z = short.encode(x)[0]
    same(short.decode(z)[0].detach(), x, 1e-12)


def test_a_context_moves_the_dependence():
    vine = perturb(DVine(3, families="frank", context_features=2, hidden=[4])).double()
    context = torch.tensor([[0.0, 0.0], [3.0, -3.0]], dtype=torch.float64)
    one, two = vine.pairs(context)[0].mT
    assert (one - two).abs().min() > 1e-3  # the same pairs at two contexts


def test_errors():
    with pytest.raises(ValueError, match="features=1"):
        CVine(1)
    with pytest.raises(ValueError, match="trees=3"):
        CVine(3, trees=3)
    with pytest.raises(ValueError, match=r"2 for the trees.*\['frank'\]"):
        DVine(3, families=["frank"])
    with pytest.raises(ValueError, match=r"'clayton', 'frank', 'gaussian'.*'student'"):
        DVine(3, families="student")
    with pytest.raises(ValueError, match="2 tensors, got 1"):
        DVine(3).set_pairs([torch.zeros(2)])
