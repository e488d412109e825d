"""Small primitives against closed forms, scipy and torch."""

import math

import numpy as np
import pytest
import torch
from scipy import fft, integrate
from scipy.interpolate import BPoly
from torch.distributions import transforms as td

from anabranch.distributions import Flow, Normal
from anabranch.transforms import (
    DCT,
    Affine,
    Bernstein,
    Columns,
    Concatenate,
    Coupling,
    DenseLinear,
    Elementwise,
    HouseholderProduct,
    LeakyTanh,
    Power,
    QRLinear,
    Reshape,
    Reverse,
    SignedScale,
    Softplus,
    Sort,
    SVDLinear,
    Tanh,
    UnconstrainedMonotonic,
)
from tests.registry import perturb, seeded

X = torch.linspace(-3, 3, 13, dtype=torch.float64).unsqueeze(-1)


@pytest.mark.parametrize(
    ("ours", "theirs", "x"),
    [
        (Tanh(1), td.TanhTransform(), X),
        (Softplus(1), td.SoftplusTransform(), X),
        (Power(1, -0.5), td.PowerTransform(torch.tensor(-0.5)), X.exp()),
        (SignedScale(torch.tensor([-2.0]), 1.0).double(), td.AffineTransform(1.0, -2.0), X),
    ],
    ids=["tanh", "softplus", "power", "signed"],
)
def test_fixed_maps_are_those_of_torch(ours, theirs, x):
    z, term = ours.encode(x)
    torch.testing.assert_close(z, theirs(x), check_dtype=False)
    expected = theirs.log_abs_det_jacobian(x, theirs(x)).sum(-1)
    torch.testing.assert_close(term, expected.expand(term.shape), check_dtype=False)


def test_tails_of_fixed_maps():
    far = torch.tensor([[-1e3], [1e3]], dtype=torch.float64)
    _, term = Tanh(1).encode(far)
    assert term == pytest.approx([2 * math.log(2) - 2e3] * 2)
    z, term = LeakyTanh(1, knee=2.0).encode(far)
    slope = 1 / math.cosh(2.0) ** 2
    assert z.flatten() == pytest.approx([-math.tanh(2) - slope * 998, math.tanh(2) + slope * 998])
    assert term == pytest.approx([math.log(slope)] * 2)


@torch.no_grad()
def test_linear_maps_are_what_they_say():
    q = HouseholderProduct(4, generator=seeded(0)).double().matrix()
    torch.testing.assert_close(q @ q.mT, torch.eye(4, dtype=torch.float64))
    assert torch.linalg.det(HouseholderProduct(4, n_reflections=3).matrix()) == pytest.approx(-1)
    eye = torch.eye(4, dtype=torch.float64)
    svd = perturb(SVDLinear(4, generator=seeded(0)).double())
    matrix = svd.encode(eye)[0].mT
    scales = torch.linalg.svdvals(matrix)
    expected = (3 * torch.tanh(svd.log_scale / 3)).exp().flatten().sort(descending=True).values
    torch.testing.assert_close(scales, expected)
    qr = perturb(QRLinear(4, generator=seeded(0)).double())
    triangle = qr.rotation.matrix().mT @ qr.encode(eye)[0].mT
    assert triangle.tril(-1).abs().max() < 1e-12
    torch.testing.assert_close(triangle.diagonal().log().sum(), qr.encode(eye)[1][0])
    rows = np.random.RandomState(0).randn(3, 5)
    ours = DCT(5).double().encode(torch.tensor(rows))[0]
    assert ours.numpy() == pytest.approx(fft.dct(rows, norm="ortho"), abs=1e-6)


def test_a_kept_inverse_is_forgotten_when_the_matrix_changes():
    linear = DenseLinear(3, generator=seeded(0))
    x = torch.randn(5, 3, generator=seeded(1))
    with torch.no_grad():
        z, _ = linear.encode(x)
        torch.testing.assert_close(linear.decode(z)[0], x)
        kept = linear._kept
        linear.decode(z)
        assert linear._kept is kept
        linear.matrix.mul_(2.0)
        back, term = linear.decode(z)
        torch.testing.assert_close(back, x / 2)
        torch.testing.assert_close(term, torch.full((5,), -3 * math.log(2)))
        other = DenseLinear(3, generator=seeded(2))
        other.decode(z)
        other.load_state_dict(linear.state_dict())
        assert torch.equal(other.decode(z)[0], back)
        assert other.double().decode(z.double())[0].dtype == torch.float64
    z, term = linear.encode(x)
    (gradient,) = torch.autograd.grad(term.sum(), linear.matrix)
    torch.testing.assert_close(gradient, 5 * torch.linalg.inv(linear.matrix).mT)


def test_a_bernstein_polynomial_is_one():
    bernstein = Bernstein(degree=5, bound=3.0)
    params = torch.randn(5, 1, dtype=torch.float64, generator=seeded(0))
    shares = 0.05 / 5 + 0.95 * torch.softmax(params, 0)
    coefficients = np.concatenate([[-3.0], -3 + 6 * shares.cumsum(0).flatten().numpy()])
    theirs = BPoly(coefficients[:, None], [-3.0, 3.0])
    x = np.linspace(-2.9, 2.9, 9)
    z, log_slope = bernstein.encode(torch.tensor(x), params)
    assert z.numpy() == pytest.approx(theirs(x), abs=1e-12)
    assert log_slope.exp().numpy() == pytest.approx(theirs.derivative()(x), abs=1e-12)


def test_a_monotonic_network_is_an_integral():
    network = UnconstrainedMonotonic(units=3)
    params = 5 * torch.randn(network.n_params, 1, dtype=torch.float64, generator=seeded(0))

    def slope(u):
        return network.encode(torch.tensor([u], dtype=torch.float64), params)[1].exp().item()

    start = network.encode(torch.zeros(1, dtype=torch.float64), params)[0]
    for end in (-4.0, -1.0, 2.0, 4.0):
        z, _ = network.encode(torch.tensor([end], dtype=torch.float64), params)
        expected, _ = integrate.quad(slope, 0.0, end)
        assert (z - start).item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kind", [Bernstein, UnconstrainedMonotonic])
def test_units_part_in_training(kind):
    """Skew data are told better after a few steps: no gradient is dead at the identity."""
    x = torch.distributions.Gamma(2.0, 1.0).sample((300, 1)) - 2
    flow = Flow(Normal(1), Elementwise(kind(), 1))
    optimizer, losses = torch.optim.Adam(flow.parameters(), 0.05), []
    for _ in range(40):
        optimizer.zero_grad()
        loss = -flow.log_prob(x).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05


def test_sorted_points_have_a_density_of_sets():
    flow = Flow(Normal(2), Sort(2)).double()
    side = torch.linspace(-8, 12, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    density = flow.log_prob(grid).exp()
    assert density.sum() * (side[1] - side[0]) ** 2 == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(density, flow.log_prob(grid.flip(-1)).exp())
    drawn = Flow(Normal(3), Sort(3)).sample(3000, generator=seeded(0))
    orders = {tuple(row) for row in drawn.argsort(-1).tolist()}
    assert len(orders) == 6
    first = (drawn.argmin(-1) == 0).double().mean()
    assert abs(first - 1 / 3) < 0.03


def test_columns_and_blocks_are_moved_alone():
    coupling = perturb(Coupling(Affine(), 2, hidden=(4,), generator=seeded(0)))
    x = torch.randn(4, 3, generator=seeded(1))
    z, term = Columns(coupling, [2, 0], 3).encode(x)
    moved, expected = coupling.encode(x[:, [2, 0]])
    torch.testing.assert_close(z, torch.stack([moved[:, 1], x[:, 1], moved[:, 0]], -1))
    torch.testing.assert_close(term, expected)
    both = Concatenate([coupling, Tanh(1)])
    z, term = both.encode(x)
    parts = coupling.encode(x[:, :2]), Tanh(1).encode(x[:, 2:])
    torch.testing.assert_close(z, torch.cat([part[0] for part in parts], -1))
    torch.testing.assert_close(term, parts[0][1] + parts[1][1])
    torch.testing.assert_close(both.decode(z)[0], x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Power(1, 0.0), "exponent must be a finite number other than zero, got 0.0"),
        (lambda: LeakyTanh(1, knee=0.0), "knee must be a positive number"),
        (lambda: SignedScale(torch.zeros(2)), "no scale zero"),
        (lambda: HouseholderProduct(2, n_reflections=0), "n_reflections must be an integer of at"),
        (lambda: QRLinear(2, bound=0.0), "bound must be a positive number"),
        (lambda: Sort(2, min_gap=0.0), "min_gap must be positive, got 0.0"),
        (lambda: Bernstein(degree=1), "degree must be an integer of at least 2"),
        (lambda: UnconstrainedMonotonic(units=0), "units must be an integer of at least 1"),
        (lambda: Columns(Reverse(2), [0, 0], 3), r"different numbers in 0..2, got \[0, 0\]"),
        (lambda: Columns(Reverse(2), [0], 3), r"takes \(2,\) and gives \(2,\), for 1 columns"),
        (lambda: Concatenate([]), "Concatenate needs at least one part"),
        (lambda: Concatenate([Reshape(4, (2, 2))]), "parts are of vectors"),
    ],
)
def test_settings_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
