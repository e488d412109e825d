"""The one battery: what every transform and every distribution must do.

Plain functions that raise AssertionError. The parametrised tests over the registry call them, and
tests/test_battery_fails.py shows for each that it can fail.
"""

from __future__ import annotations

import copy
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from anabranch.contracts import Blocks, Circle, Sphere
from anabranch.distributions import Distribution, Mixture
from anabranch.functional import as_rows
from anabranch.functional.sphere import log_surface, tangent_basis
from anabranch.networks import select_component
from anabranch.transforms import Transform
from tests.registry import draw, seeded

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


def seed(function: Callable[..., Any], *args: Any) -> Any:
    """Call it with a source of its own, which only what is stochastic draws from."""
    return function(*args, generator=seeded(17))


def same(actual: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    """Equal shapes, dtypes and, to the tolerance, relative to the size of the numbers, values."""
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)


# --- 1, 2: the inverse and the term -------------------------------------------------------------


def check_round_trip(
    transform: Transform, x: Tensor, context: Tensor | None = None, *, tolerance: float
) -> None:
    """Encode then decode gives x; decode then encode gives z; terms cancel for bijections."""
    with torch.no_grad():
        z, term = seed(transform.encode, x, context)
        back, back_term = seed(transform.decode, z, context)
        same(back, x.expand_as(back), tolerance)
        if not transform.exact:
            return
        same(term + back_term, torch.zeros_like(term), tolerance)
        latent = draw(transform.codomain, tuple(z.shape), x.dtype, seeded(3))
        y, term = transform.decode(latent, context)
        back, back_term = transform.encode(y, context)
        same(back, latent, tolerance)
        same(term + back_term, torch.zeros_like(term), tolerance)


def check_section(
    transform: Transform, z: Tensor, context: Tensor | None = None, *, tolerance: float
) -> None:
    """Of a surjection: decode then encode gives z, and the terms at that point cancel."""
    with torch.no_grad():
        x, term = seed(transform.decode, z, context)
        back, back_term = transform.encode(x, context)
        same(back, z.expand_as(back), tolerance)
        same(term + back_term, torch.zeros_like(term), tolerance)


def check_stochastic(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """All that is drawn comes from the generator, in both directions, and what draws says so."""
    before = torch.get_rng_state()
    with torch.no_grad():
        z, _ = transform.encode(x, context, generator=seeded(1))
        differs = []
        for function, point in ((transform.encode, x), (transform.decode, z)):
            first, again, other = (
                function(point, context, generator=seeded(number)) for number in (1, 1, 2)
            )
            assert all(map(torch.equal, first, again)), "the same generator draws otherwise"
            differs.append(not all(map(torch.equal, first, other)))
    assert torch.equal(torch.get_rng_state(), before), "a global source is touched"
    assert differs[0] == transform.stochastic, f"encode draws: {differs[0]}, stochastic says no"
    assert any(differs), "nothing is drawn"


def check_domains(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Latents lie in the codomain, and decoded points in the domain."""
    with torch.no_grad():
        z, _ = seed(transform.encode, x, context)
        latent = draw(transform.codomain, tuple(z.shape), x.dtype, seeded(3))
        y, _ = seed(transform.decode, latent, context)
    for points, domain, name in ((z, transform.codomain, "z"), (y, transform.domain, "x")):
        if domain is not None:
            assert bool(domain.contains(points).all()), f"{name} leaves {domain}"


def check_log_det(
    transform: Transform, x: Tensor, context: Tensor | None = None, *, tolerance: float = 1e-8
) -> None:
    """The term of both directions is the log|det| of autograd's Jacobian."""
    z = transform.encode(x, context)[0].detach()
    lead = z.shape[: z.ndim - len(transform.latent_shape)]
    own = x.expand(*lead, *transform.event_shape)  # every component gets a leaf of its own
    ends = transform.event_shape, transform.latent_shape
    for function, point, (given, taken) in (
        (transform.encode, own, ends),
        (transform.decode, z, ends[::-1]),
    ):

        def rows(y: Tensor, f: Any = function, a: Any = given, b: Any = taken) -> Tensor:
            return as_rows(f(y.reshape(*lead, *a), context)[0], b)

        matrix = jacobian(rows, as_rows(point, given))
        if isinstance(transform.domain, Sphere):  # in the tangent spaces
            matrix = tangent_basis(function(point, context)[0]).mT @ matrix @ tangent_basis(point)
        same(function(point, context)[1].detach(), torch.linalg.slogdet(matrix)[1], tolerance)


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Jacobians of a map of rows, (*lead, D_out, D_in), for x of shape (*lead, D_in)."""
    x = x.detach().clone().requires_grad_()
    y = function(x)
    rows = [_gradient(y[..., d].sum(), x) for d in range(y.shape[-1])]
    return torch.stack(rows, -2)


def _gradient(total: Tensor, x: Tensor) -> Tensor:
    if not total.requires_grad:
        return torch.zeros_like(x)
    gradient = torch.autograd.grad(total, x, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(x) if gradient is None else gradient


def check_rows_independent(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """A row is encoded and decoded alike, alone and among others."""
    row = len(transform.batch_shape)
    with torch.no_grad():
        z = transform.encode(x, context)[0]
        z = z[(0,) * row]
        for function, points in ((transform.encode, x), (transform.decode, z)):
            whole, term = function(points, context)
            alone = None if context is None else context[:1]
            part, part_term = function(points[:1], alone)
            same(part, whole.narrow(row, 0, 1), 1e-10)
            same(part_term, term.narrow(row, 0, 1), 1e-10)


def check_shapes(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Either end has its shape, the term its leading shape, behind the component axis."""
    lead = tuple(x.shape[: x.ndim - len(transform.event_shape)])
    z, term = seed(transform.encode, x, context)
    if transform.batch_shape:
        lead = (*transform.batch_shape, lead[-1])
    assert z.shape == (*lead, *transform.latent_shape), (z.shape, lead)
    assert term.shape == lead, (term.shape, lead)
    y, term = seed(transform.decode, z, context)
    assert y.shape == (*lead, *transform.event_shape), (y.shape, lead)
    assert term.shape == lead, (term.shape, lead)


# --- 3: dtype and device ------------------------------------------------------------------------


DEVICES = ("cpu", "meta", *(["cuda"] if torch.cuda.is_available() else []))


def check_dtype_and_device(
    transform: Transform,
    x: Tensor,
    context: Tensor | None = None,
    devices: tuple[str, ...] = DEVICES,
) -> None:
    """Outputs have the dtype and the device of x; the meta device stands for any accelerator."""
    z = seed(transform.encode, x, context)[0].detach()
    for device in devices:
        there = copy.deepcopy(transform).to(device)
        c = None if context is None else context.to(device)
        for function, points in ((there.encode, x), (there.decode, z)):
            for y in function(points.to(device), c):
                assert y.dtype == x.dtype, f"{y.dtype} from {x.dtype}"
                assert y.device.type == device, f"{y.device} from {device}"


def check_log_prob_dtype_and_device(
    distribution: Distribution,
    x: Tensor,
    context: Tensor | None = None,
    devices: tuple[str, ...] = DEVICES,
) -> None:
    """log_prob keeps dtype and device; samples have the distribution's dtype."""
    assert distribution.sample(3, context=_first(context)).dtype == x.dtype
    for device in devices:
        there = copy.deepcopy(distribution).to(device)
        c = None if context is None else context.to(device)
        log_prob = there.log_prob(x.to(device), c)
        assert log_prob.dtype == x.dtype, f"{log_prob.dtype} from {x.dtype}"
        assert log_prob.device.type == device, f"{log_prob.device} from {device}"


def _first(context: Tensor | None) -> Tensor | None:
    return None if context is None else context.reshape(-1, context.shape[-1])[0]


# --- 4: finite everywhere -----------------------------------------------------------------------


def check_gradients(module: nn.Module, value: Callable[[], Tensor], *inputs: Tensor) -> None:
    """The value is finite, and so are its gradients, which reach every trainable parameter."""
    module.zero_grad()
    total = value()
    assert torch.isfinite(total).all(), "the value is not finite"
    if total.requires_grad:
        total.sum().backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient"
            assert torch.isfinite(parameter.grad).all(), f"gradient of {name} is not finite"
    for x in inputs:
        assert x.grad is not None, "an input gets no gradient"
        assert torch.isfinite(x.grad).all(), "gradient of an input is not finite"


def check_transform_finite(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Both directions at x are finite, with their gradients."""
    z = seed(transform.encode, x, context)[0].detach()
    if z.shape == x.shape:
        z = x  # as far out as x is
    for function, points in ((transform.encode, x), (transform.decode, z)):
        leaf = points.clone().requires_grad_()

        def value(f: Any = function, y: Tensor = leaf) -> Tensor:
            z, term = seed(f, y, context)
            assert torch.isfinite(z).all(), "output is not finite"
            return z.mean() + term.mean()

        check_gradients(transform, value, leaf)


def check_parameters_matter(transform: Transform, x: Tensor, context: Tensor | None) -> None:
    """Every parameter tensor moves the output: none is dead (a mask may silence entries)."""
    z, term = seed(transform.encode, x, context)
    weights = torch.randn(z.shape, generator=seeded(5), dtype=z.dtype)
    transform.zero_grad()
    total = (z * weights).sum() + term.square().sum()
    if total.requires_grad:
        total.backward()
    for name, parameter in transform.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert parameter.numel() == 0 or bool(parameter.grad.any()), f"{name} is dead"


# --- 5: sampling and evaluating agree -----------------------------------------------------------


def check_sample_and_log_prob(
    distribution: Distribution, context: Tensor | None = None, *, tolerance: float = 1e-8
) -> None:
    """The pair equals ``log_prob(sample)``, of the shapes promised, and ``sample`` alike.

    What is not exact draws its auxiliary numbers anew in ``log_prob``, and has tests of its own.
    """
    lead = () if context is None else tuple(context.shape[:-1])
    for sample_shape in ((), (40,), (2, 5)):
        with torch.no_grad():
            x, log_prob = distribution.sample_and_log_prob(sample_shape, context, seeded(1))
        shape = (*distribution.batch_shape, *sample_shape, *lead)
        assert x.shape == (*shape, *distribution.event_shape), x.shape
        assert log_prob.shape == shape, log_prob.shape
        assert torch.isfinite(log_prob).all(), "a sample has no finite log_prob"
        again = distribution.sample(sample_shape, context, seeded(1))
        assert torch.equal(again, x), "the same generator draws other points"
        if distribution.exact:
            same(_log_prob_of(distribution, x, context, sample_shape), log_prob, tolerance)


def _log_prob_of(
    distribution: Distribution, x: Tensor, context: Tensor | None, sample_shape: tuple[int, ...]
) -> Tensor:
    """Point by point and component by component, by the simplest calls there are."""
    event = distribution.event_shape
    components = (
        [select_component(distribution, k) for k in range(distribution.batch_shape[0])]
        if distribution.batch_shape
        else [distribution]
    )
    points = x.reshape(len(components), -1, *event)
    if context is not None:
        lead = tuple(context.shape[:-1])
        context = context.expand(*sample_shape, *lead, context.shape[-1])
        context = context.reshape(-1, context.shape[-1])
    with torch.no_grad():
        parts = [c.log_prob(p, context) for c, p in zip(components, points, strict=True)]
    return torch.stack(parts).reshape(x.shape[: x.ndim - len(event)])


def check_component_frequencies(
    mixture: Mixture, context: Tensor | None = None, *, n: int = 3000
) -> None:
    """Labels come at the rate of the weights (chi-square)."""
    spread = None if context is None else context.expand(n, -1)
    x, labels = mixture.sample_with_labels(n, spread, seeded(2))
    assert x.shape == (n, *mixture.event_shape)
    counts = torch.bincount(labels, minlength=mixture.n_components).double()
    weights = mixture.log_weights.detach().exp().double()
    expected = weights / weights.sum() * n
    assert stats.chisquare(counts.numpy(), expected.numpy()).pvalue > 1e-3


# --- 6: the density integrates to one -----------------------------------------------------------


def density_grid(
    distribution: Distribution, context: Tensor | None = None, *, points: int
) -> tuple[Tensor, Tensor, float]:
    """A grid over where the samples lie, the density there, (*batch, points), and a cell."""
    x = distribution.sample(2000, context, seeded(4)).reshape(-1, *distribution.event_shape)
    low, high = x.amin(0), x.amax(0)
    margin = 0.5 * (high - low) + 1.0
    axes = [
        torch.linspace(a, b, points, dtype=x.dtype)
        for a, b in zip((low - margin).tolist(), (high + margin).tolist(), strict=True)
    ]
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    cell = float(np.prod([float(axis[1] - axis[0]) for axis in axes]))
    with torch.no_grad():
        density = distribution.log_prob(grid, context).exp()
    inside = distribution.domain.contains(grid).all(-1)  # an angle beyond a turn counts once
    return grid, torch.where(inside, density, 0.0), cell


def check_integral(
    distribution: Distribution,
    context: Tensor | None = None,
    *,
    points: int,
    tolerance: float,
) -> None:
    """The density sums to one over a grid in one or two dimensions."""
    _, density, cell = density_grid(distribution, context, points=points)
    total = density.sum(-1) * cell
    assert bool(((total - 1).abs() < tolerance).all()), f"integral {total.tolist()}"


# --- 7: samples follow the density --------------------------------------------------------------


def check_samples_1d(
    distribution: Distribution, context: Tensor | None = None, *, points: int = 20001
) -> None:
    """Kolmogorov-Smirnov of samples against the cumulated density."""
    grid, density, cell = density_grid(distribution, context, points=points)
    knots, density = grid[:, 0].numpy(), density.numpy()
    cumulated = np.cumsum(density) * cell - 0.5 * density * cell
    x = distribution.sample(2000, context, seeded(6)).reshape(-1).numpy()
    pvalue = stats.kstest(x, lambda t: np.interp(t, knots, cumulated)).pvalue
    assert pvalue > 1e-3, f"p = {pvalue}"


def check_samples_2d(
    distribution: Distribution, context: Tensor | None = None, *, points: int = 300, n: int = 400
) -> None:
    """Energy test of samples against points that are drawn cell by cell from the density."""
    grid, density, _ = density_grid(distribution, context, points=points)
    cells = torch.multinomial(density, n, True, generator=seeded(8))
    widths = (grid[-1] - grid[0]) / (points - 1)
    jitter = torch.rand(n, 2, generator=seeded(9), dtype=grid.dtype) - 0.5
    reference = grid[cells] + jitter * widths
    x = distribution.sample(n, context, seeded(10)).reshape(n, 2)
    pvalue = energy_test(x.numpy(), reference.numpy())
    assert pvalue > 1e-2, f"p = {pvalue}"


def energy_test(x: np.ndarray, y: np.ndarray, permutations: int = 300) -> float:
    """p-value of the two-sample energy test (Székely, Rizzo 2004), equal sizes, by permutation."""
    distances = cdist(np.concatenate((x, y)), np.concatenate((x, y)))
    signs = np.concatenate((np.ones(len(x)), -np.ones(len(y))))
    rng = np.random.default_rng(0)
    shuffled = np.stack([signs] + [rng.permutation(signs) for _ in range(permutations)])
    energies = -np.einsum("pi,pi->p", shuffled @ distances, shuffled)
    return float((energies >= energies[0]).mean())


def check_sphere(
    distribution: Distribution, context: Tensor | None = None, *, n: int = 40_000
) -> None:
    """The density integrates to one over the sphere, where samples have its moments."""
    (features,) = distribution.event_shape
    noise = torch.randn(n, features, generator=seeded(12), dtype=torch.float64)
    x = torch.nn.functional.normalize(noise, dim=-1)
    weights = distribution.log_prob(x, context).exp().detach() * math.exp(log_surface(features))
    error = weights.std() / n**0.5
    assert abs(weights.mean() - 1) < 4 * error + 1e-9, f"integral {weights.mean().item()}"
    drawn = distribution.sample(2000, context, seeded(13)).reshape(-1, features)
    same(drawn.square().sum(-1), torch.ones(len(drawn), dtype=drawn.dtype), 1e-6)
    for value, at in ((x, drawn), (x.square(), drawn.square())):
        expected = (weights.unsqueeze(-1) * value).mean(0)
        spread = at.std(0) / len(at) ** 0.5 + (weights.unsqueeze(-1) * value).std(0) / n**0.5
        assert bool(((at.mean(0) - expected).abs() < 4.5 * spread).all())


def check_product(
    distribution: Distribution, context: Tensor | None = None, *, n: int = 20_000
) -> None:
    """The density integrates to one over a product of spaces, where samples have its moments.

    Draws of circles and spheres are uniform, those of reals wide normals: importance sampling.
    """
    domain = distribution.domain
    assert isinstance(domain, Blocks)
    source, parts, log_q = seeded(12), [], torch.zeros(n, dtype=torch.float64)
    for part, size in zip(domain.parts, domain.sizes, strict=True):
        noise = torch.randn(n, size, generator=source, dtype=torch.float64)
        if isinstance(part, Sphere):
            parts.append(torch.nn.functional.normalize(noise, dim=-1))
            log_q -= log_surface(size)
        elif isinstance(part, Circle):
            turn = torch.rand(n, size, generator=source, dtype=torch.float64)
            parts.append(part.origin + part.period * turn)
            log_q -= size * math.log(part.period)
        else:
            parts.append(2 * noise)
            log_q += (-noise.square() / 2 - math.log(2 * (2 * math.pi) ** 0.5)).sum(-1)
    x = torch.cat(parts, -1)
    with torch.no_grad():
        weights = (distribution.log_prob(x, context) - log_q).exp()
    error = weights.std() / n**0.5
    assert abs(weights.mean() - 1) < 4 * error + 1e-9, f"integral {weights.mean().item()}"
    drawn = distribution.sample(2000, context, seeded(13)).reshape(-1, x.shape[-1])
    for part, block in zip(domain.parts, drawn.split(domain.sizes, -1), strict=True):
        if isinstance(part, Sphere):
            same(block.square().sum(-1), torch.ones(len(block), dtype=block.dtype), 1e-6)
    assert bool(domain.contains(drawn).all())
    for moment in (torch.sin, torch.cos, lambda y: (y + y.roll(1, -1)).sin()):
        value, at = moment(x), moment(drawn)
        expected = (weights.unsqueeze(-1) * value).mean(0)
        spread = at.std(0) / len(at) ** 0.5 + (weights.unsqueeze(-1) * value).std(0) / n**0.5
        assert bool(((at.mean(0) - expected).abs() < 4.5 * spread).all())


# --- 8: the component axis and the context ------------------------------------------------------


def check_stack(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """A stack equals a loop over its components, for shared and for own points and contexts."""
    (size,) = transform.batch_shape
    with torch.no_grad():
        z = transform.encode(x, context)[0][0]
        for function, points in (("encode", x), ("decode", z)):
            own = torch.stack([points.roll(k, 0) for k in range(size)])
            contexts = [context]
            if context is not None:
                contexts.append(torch.stack([context * (k + 1) for k in range(size)]))
            for given in (points, own):
                for conditions in contexts:
                    whole = getattr(transform, function)(given, conditions)
                    for k in range(size):
                        one = getattr(select_component(transform, k), function)(
                            given if given is points else given[k],
                            conditions if conditions is context else conditions[k],
                        )
                        same(one[0], whole[0][k])
                        same(one[1], whole[1][k])


def check_stacked_log_prob(
    distribution: Distribution, x: Tensor, context: Tensor | None = None
) -> None:
    """A stacked log_prob equals a loop over the components."""
    (size,) = distribution.batch_shape
    own = torch.stack([x.roll(k, 0) for k in range(size)])
    shared, separate = distribution.log_prob(x, context), distribution.log_prob(own, context)
    assert shared.shape == separate.shape == (size, len(x))
    for k in range(size):
        one = select_component(distribution, k)
        assert one.batch_shape == ()
        same(one.log_prob(x, context), shared[k])
        same(one.log_prob(own[k], context), separate[k])


def check_context_broadcast(
    function: Callable[[Tensor, Tensor], Tensor], x: Tensor, context: Tensor
) -> None:
    """A broadcast context equals a loop over its rows; function gives a value per point.

    Args:
        function: of points (..., *event) and contexts (..., C), without component axis.
        x: (N, *event).
        context: (N, C).
    """
    pairs = [[function(p, c) for p in x] for c in context]
    expected = torch.stack([torch.stack(row) for row in pairs])  # (contexts, points)
    same(function(x, context[0]), expected[0])
    same(function(x, context), torch.stack([expected[i, i] for i in range(len(x))]))
    same(function(x[0], context), expected[:, 0])
    same(function(x, context.unsqueeze(1)), expected)


def check_leading_dimensions(
    function: Callable[..., Tensor], x: Tensor, context: Tensor | None = None
) -> None:
    """Points (3, 4, *event), one point and none give the values of a flat batch, shaped alike."""
    flat = None if context is None else context.flatten(0, 1)
    expected = function(x.flatten(0, 1), flat)
    same(function(x, context), expected.unflatten(0, x.shape[:2]))
    same(function(x[0, 0], None if flat is None else flat[0]), expected[0])
    empty = function(x[:0], None if context is None else context[:0])
    assert empty.shape == (0, *x.shape[1:2], *expected.shape[1:])


# --- 9, 10: saving, copying, compiling ----------------------------------------------------------


def check_state(
    module: nn.Module, fresh: nn.Module, evaluate: Callable[[nn.Module], Tensor]
) -> None:
    """A strict load of the saved tensors into another instance gives the same bits."""
    expected = evaluate(module)
    content = safetensors.torch.save({k: v.contiguous() for k, v in module.state_dict().items()})
    fresh.load_state_dict(safetensors.torch.load(content), strict=True)
    assert torch.equal(evaluate(fresh), expected), "other bits after loading"


def check_copies(module: nn.Module, evaluate: Callable[[nn.Module], Tensor]) -> None:
    """deepcopy and pickle give the same bits, and share no memory."""
    expected = evaluate(module)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(evaluate(twin), expected), "a copy evaluates to other bits"
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.add_(1.0)
        assert torch.equal(evaluate(module), expected), "a copy shares memory"


def check_compile(function: Callable[..., Any], *args: Any) -> None:
    """Compiles without a graph break and gives the same values."""
    torch.compiler.reset()  # the recompilation limit counts all modules of one class together
    compiled = torch.compile(function, fullgraph=True, backend="eager")
    actual, expected = compiled(*args), function(*args)
    torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


# --- 11: errors and names -----------------------------------------------------------------------


def check_shape_errors(
    call: Callable[..., Any], event_shape: tuple[int, ...], *context: Tensor
) -> None:
    """A wrong shape is a ValueError that names what was given and what was expected."""
    wrong = torch.zeros(4, *event_shape[:-1], event_shape[-1] + 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=re.escape(str(tuple(wrong.shape)))) as error:
        call(wrong, *(c.expand(4, -1) for c in context))
    expected = ", ".join(map(str, event_shape))
    assert re.search(rf"\b{expected}\b", str(error.value)), f"expected size not in {error.value}"


def check_context_errors(call: Callable[..., Any], x: Tensor, context_features: int) -> None:
    """A missing context, one of another size and one of another length are ValueErrors."""
    with pytest.raises(ValueError, match=rf"context.*\b{context_features}\b"):
        call(x)
    wrong = torch.zeros(len(x), context_features + 1, dtype=x.dtype)
    with pytest.raises(ValueError, match=rf"\b{context_features}\b.*\b{context_features + 1}\b"):
        call(x, wrong)
    with pytest.raises(ValueError, match=rf"\b{len(x) + 1}\b.*\b{len(x)}\b"):
        call(x, torch.zeros(len(x) + 1, context_features, dtype=x.dtype))


def check_dtype_error(
    module: nn.Module, call: Callable[..., Any], x: Tensor, *context: Tensor
) -> None:
    """Another floating dtype than the module's tensors have is a TypeError that names both."""
    if not any(t.is_floating_point() for t in module.state_dict().values()):
        return  # without numbers of its own a module takes any
    other = torch.float32 if x.dtype == torch.float64 else torch.float64
    with pytest.raises(TypeError, match=rf"{other}.*{x.dtype}"):
        call(x.to(other), *(c.to(other) for c in context))
    for c in context:
        with pytest.raises(TypeError, match=rf"{other}.*{x.dtype}"):
            call(x, c.to(other))


def check_repr(module: nn.Module) -> None:
    """The repr names the class and its size."""
    text = repr(module)
    assert type(module).__name__ in text
    assert re.search(r"\d", text), f"no sizes in {text!r}"
