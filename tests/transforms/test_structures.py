"""Coupling, autoregressive and scalar maps: what the battery cannot know."""

from itertools import permutations

import pytest
import torch

from anabranch.distributions import Flow, Normal
from anabranch.networks import MADE
from anabranch.transforms import (
    Affine,
    Autoregressive,
    Compose,
    Coupling,
    Elementwise,
    Half,
    Inverse,
    Mask,
    PReLU,
    Reverse,
    Transform,
    TriFold,
    UniformDequantization,
    two_sided_coupling,
)
from tests.battery import check_round_trip, jacobian, same
from tests.registry import perturb, seeded

X = torch.randn(6, 4, generator=seeded(0), dtype=torch.float64)


def maf(ordering=None, features=4, **kwargs):
    transform = Autoregressive(Affine(), features, hidden=(9,), ordering=ordering, **kwargs)
    return perturb(transform.double())


def first_params(transform):
    """Parameters of the first feature, (n_params, 1, 1): they depend on no other."""
    features = transform.event_shape[0]
    out = transform.conditioner(torch.zeros(1, features))
    return out.unflatten(-1, (-1, features))[..., :1].movedim(-2, 0)


@pytest.mark.parametrize("ordering", list(permutations(range(4)))[::3])
def test_autoregressive_jacobian_is_exactly_triangular(ordering):
    transform = maf(ordering)
    place = torch.tensor(ordering)
    later = place[:, None] < place[None, :]
    for direction in (transform.encode, transform.decode):
        matrix = jacobian(lambda x, f=direction: f(x)[0], X)
        assert not matrix[:, later].any()
        assert matrix.diagonal(dim1=-2, dim2=-1).all()


@pytest.mark.parametrize("ordering", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_maf_equals_the_explicit_recursion(ordering):
    """z_d = x_d exp(s_d) + t_d, feature by feature, from a network that sees only those before."""
    transform = maf(ordering)
    net = transform.conditioner
    z, term = transform.encode(X)
    expected, total = torch.zeros_like(X), torch.zeros(6, dtype=torch.float64)
    for d in range(4):
        before = torch.tensor(ordering) < ordering[d]
        out = net(torch.where(before, X, 99.0))  # what comes later is garbage
        log_scale = 2 * torch.tanh(out[:, 4 + d] / 2)
        expected[:, d] = X[:, d] * log_scale.exp() + out[:, d]
        total = total + log_scale
    same(z, expected)
    same(term, total)


@pytest.mark.parametrize("context_features", [0, 2])
@pytest.mark.parametrize("ordering", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_maf_equals_zuko_with_the_same_weights(context_features, ordering):
    validation = torch.distributions.Distribution._validate_args
    import zuko  # changes a global of torch on import

    torch.distributions.Distribution.set_default_validate_args(validation)
    transform = maf(ordering, context_features=context_features).float()
    peer = zuko.flows.MaskedAutoregressiveTransform(
        4,
        context_features,
        order=ordering,
        hidden_features=(9,),
        univariate=TanhAffine,
    )
    ours = [m for m in transform.conditioner.modules() if hasattr(m, "mask")]
    theirs = [m for m in peer.hyper if hasattr(m, "mask")]
    # their outputs are feature-major
    interleave = torch.arange(8).reshape(2, 4).T.flatten()
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        weight, bias = (a.weight * a.mask).detach(), a.bias.detach().squeeze(-1)
        if i == len(ours) - 1:
            weight, bias = weight[interleave], bias[interleave]
        b.mask = torch.ones_like(b.mask)
        b.weight.data, b.bias.data = weight, bias
    x = X.float()
    context = torch.randn(6, 2, generator=seeded(1)) if context_features else None
    z, term = transform.encode(x, context)
    peer_z, peer_term = peer(context).call_and_ladj(x)
    same(z, peer_z, 1e-5)
    same(term, peer_term, 1e-5)
    same(transform.decode(x, context)[0], peer(context).inv(x), 1e-4)


class TanhAffine(torch.distributions.Transform):
    """Our bounded affine map as a transform of torch.distributions, written anew."""

    domain = codomain = torch.distributions.constraints.real
    bijective = True
    sign = +1

    def __init__(self, shift, raw):
        super().__init__()
        self.shift, self.log_scale = shift, 2.0 * torch.tanh(0.5 * raw)

    def _call(self, x):
        return x * torch.exp(self.log_scale) + self.shift

    def _inverse(self, y):
        return (y - self.shift) / torch.exp(self.log_scale)

    def log_abs_det_jacobian(self, x, y):
        return self.log_scale.expand(x.shape)

    def call_and_ladj(self, x):
        return self._call(x), self.log_abs_det_jacobian(x, None)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_thirty_comes_back_as_thirty(dtype, scale):
    for build in (lambda t: t, Inverse):
        transform = build(perturb(Autoregressive(Affine(), 3, hidden=(8,)), scale=scale)).to(dtype)
        for sign in (-1, 1):
            x = torch.full((1, 3), 30.0 * sign, dtype=dtype)
            with torch.no_grad():
                back = transform.decode(transform.encode(x)[0])[0]
            same(back, x, 1e-8 if dtype == torch.float64 else 1e-3)


def test_decode_stops_early_and_is_the_same_with_gradients():
    transform = maf()
    with torch.no_grad():
        quick = transform.decode(X)
    slow = transform.decode(X)
    same(quick[0], slow[0].detach(), 1e-12)
    same(quick[1], slow[1].detach(), 1e-12)


def test_decode_gradient_is_that_of_the_inverse():
    transform = maf()
    inner = jacobian(lambda x: transform.encode(x)[0], X)
    outer = jacobian(lambda z: transform.decode(z)[0], transform.encode(X)[0].detach())
    same(outer @ inner, torch.eye(4, dtype=torch.float64).expand(6, 4, 4), 1e-9)


def test_early_overflow_does_not_spoil_the_settled_features():
    """Zero times infinity in a masked product would be NaN."""
    transform = perturb(Autoregressive(Affine(), 6, hidden=()), scale=1e16)
    z = torch.full((1, 6), 1e10)
    x, _ = transform.decode(z)
    assert x[0].abs().nan_to_num(torch.inf).max() > 1e36, "too tame to overflow"
    _, log_slope = transform.scalar_map.encode(z[:, :1], first := first_params(transform))
    same(x[:, :1], (z[:, :1] - first[0]) * torch.exp(-log_slope), 1e-5)


@pytest.mark.parametrize(
    "mask", [(True, False, False, False), (False, True, False, True), (False, False, True, True)]
)
def test_coupling_keeps_what_it_should(mask):
    transform = perturb(Coupling(Affine(), 4, split=Mask(mask), hidden=(8,)).double())
    moves = torch.tensor(mask)
    z, _ = transform.encode(X)
    assert torch.equal(z[:, ~moves], X[:, ~moves])
    assert (z[:, moves] != X[:, moves]).all()
    matrix = jacobian(lambda x: transform.encode(x)[0], X)
    off = matrix * (1 - torch.eye(4, dtype=torch.float64))
    assert not off[:, :, moves].any(), "a moved feature tells another"
    assert off[:, moves][:, :, ~moves].all()


def test_coupling_default_moves_the_second_half():
    z, _ = perturb(Coupling(Affine(), 5)).encode(torch.ones(1, 5))
    assert (z[0, :2] == 1).all()
    assert (z[0, 2:] != 1).all()


def test_coupling_refuses_a_split_that_does_not_fit():
    with pytest.raises(ValueError, match=r"split is of \(2,\), the event \(3,\)"):
        Coupling(Affine(), 3, split=Half(2))
    with pytest.raises(ValueError, match=r"must move at least one feature, got \[False, False\]"):
        Mask([False, False])


@pytest.mark.parametrize("make", [Elementwise, Coupling, Autoregressive])
@pytest.mark.parametrize("scalar_map", [Affine(), PReLU()])
def test_a_fresh_structure_is_the_identity(make, scalar_map):
    transform = make(scalar_map, 4).double()
    z, term = transform.encode(X)
    same(z, X)
    same(term, torch.zeros(6, dtype=torch.float64))


@pytest.mark.parametrize("scalar_map", [Affine, PReLU])
def test_a_bound_must_be_positive(scalar_map):
    for bound in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="bound must be a positive number"):
            scalar_map(bound=bound)


def test_affine_scale_is_bounded():
    params = torch.tensor([[0.0, 0.0], [1e9, -1e9]])
    _, log_slope = Affine(bound=1.5).encode(torch.zeros(2), params)
    assert log_slope.tolist() == [1.5, -1.5]


def test_prelu_slopes():
    raw = torch.tensor([[0.7, 0.7]], dtype=torch.float64)
    z, log_slope = PReLU().encode(torch.tensor([-2.0, 2.0], dtype=torch.float64), raw)
    slope = torch.exp(3 * torch.tanh(raw[0, 0] / 3))
    same(z, torch.stack((-2 * slope, slope.new_tensor(2.0))))
    same(log_slope, torch.stack((slope.log(), slope.new_tensor(0.0))))


def test_compose_runs_in_order():
    first, second = maf((0, 1, 2, 3)), maf((3, 2, 1, 0))
    z, term = Compose([first, second]).encode(X)
    y, term_1 = first.encode(X)
    expected, term_2 = second.encode(y)
    same(z, expected)
    same(term, term_1 + term_2)


def test_compose_knows_whether_it_is_exact():
    assert Compose([Reverse(2), Reverse(2)]).exact
    assert not Compose([UniformDequantization(2), Reverse(2)]).exact


def test_compose_evaluates_shared_parts_once():
    rows = []

    class Counting(Reverse):
        def _encode(self, x, context, generator):
            rows.append(x.shape)
            return super()._encode(x, context, generator)

    Compose([Counting(2), Coupling(Affine(), 2, batch_shape=(3,))]).encode(torch.zeros(5, 2))
    assert rows == [(5, 2)]


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([], "at least one"),
        ([Reverse(2), Reverse(3)], r"part 1 gives \(2,\), part 2 takes \(3,\)"),
        (
            [Coupling(Affine(), 2, batch_shape=(3,)), Coupling(Affine(), 2, batch_shape=(4,))],
            r"batch.shape.*\(3,\), \(4,\)",
        ),
        (
            [
                Coupling(Affine(), 2, context_features=1),
                Coupling(Affine(), 2, context_features=2),
            ],
            r"context.*\(1,\), \(2,\)",
        ),
    ],
)
def test_compose_refuses_what_does_not_fit(parts, named):
    with pytest.raises(ValueError, match=named):
        Compose(parts)


def test_only_bijections_have_an_inverse():
    for transform in (UniformDequantization(2), TriFold(2), Compose([TriFold(2), Reverse(2)])):
        with pytest.raises(ValueError, match=type(transform).__name__):
            Inverse(transform)


def test_inverse_of_the_inverse():
    transform = maf()
    twice = Inverse(Inverse(transform))
    same(twice.encode(X)[0], transform.encode(X)[0])
    check_round_trip(twice, X, tolerance=1e-9)


def test_iaf_samples_in_one_pass():
    calls = []
    flow = Flow(Normal(4), Inverse(maf().float()))
    made = next(m for m in flow.modules() if isinstance(m, MADE))
    for layer in list(made.modules()):
        if hasattr(layer, "mask"):
            plain = layer.columns
            layer.columns = lambda h, f=plain: (calls.append(1), f(h))[1]
    flow.sample(3)
    assert len(calls) == 2, "one call for each of the two layers"


def test_a_transform_is_abstract_or_final():
    with pytest.raises((TypeError, NotImplementedError)):
        Transform((2,)).encode(torch.zeros(1, 2))


def test_two_sided_coupling_moves_all_features_and_keeps_one_side_for_the_other():
    transform = perturb(
        two_sided_coupling(Affine(), 4, split=Mask([False, True, True, True]), hidden=(8,)).double()
    )
    first, second = transform.transforms
    z, _ = transform.encode(X)
    assert (z != X).all()
    half, _ = first.encode(X)
    assert torch.equal(half[:, :1], X[:, :1])
    assert torch.equal(second.encode(half)[0][:, 1:], half[:, 1:])
    check_round_trip(transform, X, tolerance=1e-9)


def test_two_sided_coupling_needs_two_sides():
    with pytest.raises(ValueError, match="must move at least one"):
        two_sided_coupling(Affine(), 4, split=Mask([True] * 4))


@pytest.mark.parametrize("ordering", [None, (3, 2, 1, 0)])
def test_draws_can_be_trained_on(ordering):
    """What is computed without tracking is plain tensors again."""
    transform = maf(ordering)
    with torch.no_grad():
        x, term = transform.decode(X)
    assert not x.is_inference()
    assert not term.is_inference()
    x.add_(0.0).requires_grad_()
    (transform.encode(x)[0].square().sum() + (x * term[:, None]).sum()).backward()
    assert torch.isfinite(x.grad).all()
