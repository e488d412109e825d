"""Derivatives to the second order, by every road that torch has, against finite differences.

A value per row is differentiated by all that it depends on at once: points, context and parameters,
along one random direction of them all. So one number holds the gradient, and one vector the second
derivatives, mixed ones included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from tests.registry import seeded

STEP = 1e-5

Numbers = dict[str, Tensor]
Value = Callable[[Numbers], Tensor]


class Reader(nn.Module):
    """A module whose forward is any function of it, so that `functional_call` reaches it."""

    def __init__(self, module: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module, self.function = module, function

    def forward(self, *args: Any) -> Tensor:
        return self.function(self.module, *args)


def numbers_of(module: nn.Module, **inputs: Tensor | None) -> Numbers:
    """Leaves for all that a value depends on; the parameters under their names."""
    own = {f"module.{n}": p for n, p in module.named_parameters() if p.requires_grad}
    given = {name: value for name, value in inputs.items() if value is not None}
    return {name: value.detach().clone() for name, value in (own | given).items()}


def value_of(module: nn.Module, function: Callable[..., Tensor], *names: str) -> Value:
    """The value as a function of numbers alone; function(module, *inputs) gives one per row."""
    reader = Reader(module, function)

    def value(numbers: Numbers) -> Tensor:
        own = {n: v for n, v in numbers.items() if n not in names}
        return functional_call(reader, own, tuple(numbers.get(name) for name in names))

    return value


def slopes(value: Value, numbers: Numbers, *, graph: bool = False) -> Numbers:
    """Plain gradients of the sum, zero where there is none."""
    leaves = {n: v if graph else v.detach().requires_grad_() for n, v in numbers.items()}
    total = value(leaves).sum()
    if not total.requires_grad:
        return {n: torch.zeros_like(v) for n, v in leaves.items()}
    found = torch.autograd.grad(total, [*leaves.values()], create_graph=graph, allow_unused=True)
    return {
        n: torch.zeros_like(v) if g is None else g
        for (n, v), g in zip(leaves.items(), found, strict=True)
    }


def moved(numbers: Numbers, along: Numbers, step: float) -> Numbers:
    return {n: torch.add(v, along[n], alpha=step) for n, v in numbers.items()}


def direction(numbers: Numbers) -> Numbers:
    source = seeded(23)
    return {n: torch.randn(v.shape, generator=source, dtype=v.dtype) for n, v in numbers.items()}


def close(actual: Numbers, expected: Numbers, tolerance: float, road: str) -> None:
    """All numbers, relative to the largest of their tensor."""
    for name, aim in expected.items():
        wanted = aim.detach()
        size = 1 + float(wanted.abs().max()) if wanted.numel() else 1.0
        error = float((actual[name].detach() - wanted).abs().max()) if wanted.numel() else 0.0
        assert error < tolerance * size, f"{road}: {name} is off by {error:.2g} of {size:.2g}"


def check_second_order(value: Value, numbers: Numbers, tolerance: float = 1e-5) -> None:
    """Gradients and Hessian times vector against differences; reverse twice, forward once."""
    along = direction(numbers)
    ahead, behind = (moved(numbers, along, s * STEP) for s in (1, -1))
    plain = slopes(value, numbers)
    rise = sum((plain[n] * along[n]).sum() for n in numbers)
    numeric = (value(ahead).sum() - value(behind).sum()).detach() / (2 * STEP)
    close({"": torch.as_tensor(rise)}, {"": numeric}, tolerance, "gradient")
    up, down = slopes(value, ahead), slopes(value, behind)
    expected = {n: (up[n] - down[n]) / (2 * STEP) for n in numbers}
    leaves = {n: v.detach().requires_grad_() for n, v in numbers.items()}
    first = slopes(value, leaves, graph=True)
    dot = torch.as_tensor(sum((first[n] * along[n]).sum() for n in numbers))
    close(slopes(lambda _: dot, leaves, graph=True), expected, tolerance, "reverse twice")
    with torch.autograd.forward_ad.dual_level():
        dual = {n: torch.autograd.forward_ad.make_dual(v, along[n]) for n, v in numbers.items()}
        tangent = torch.autograd.forward_ad.unpack_dual(value(dual).sum()).tangent
    tangent = torch.zeros_like(numeric) if tangent is None else tangent
    close({"": tangent}, {"": numeric}, tolerance, "forward")


def check_functional(value: Value, numbers: Numbers, *rows: str) -> None:
    """Gradients of each sample by `torch.func`: reverse under vmap, forward, and both nested."""
    shared = {n: v for n, v in numbers.items() if n not in rows}
    own = {n: v for n, v in numbers.items() if n in rows}
    expected = slopes(value, numbers)

    def one(shared: Numbers, own: Numbers) -> Tensor:
        return value(shared | {n: v.unsqueeze(0) for n, v in own.items()}).sum()

    by_sample = vmap(grad(one, argnums=(0, 1)), in_dims=(None, 0))(shared, own)
    summed = {n: g.sum(0) for n, g in by_sample[0].items()} | by_sample[1]
    close(summed, expected, 1e-9, "vmap of grad")
    along = direction(own)
    _, pushed = jvp(lambda own: value(shared | own).sum(), (own,), (along,))
    wanted = torch.as_tensor(sum((expected[n] * along[n]).sum() for n in own))
    close({"": pushed}, {"": wanted}, 1e-9, "jvp")
    first = {n: v[0] for n, v in own.items()}
    for name in own:

        def at(x: Tensor, name: str = name) -> Tensor:
            return one(shared, first | {name: x})

        twice = hessian(at)(first[name])
        close({"": jacrev(jacrev(at))(first[name])}, {"": twice}, 1e-8, "jacrev of jacrev")
        close({"": jacfwd(at)(first[name])}, {"": expected[name][0]}, 1e-9, "jacfwd")
