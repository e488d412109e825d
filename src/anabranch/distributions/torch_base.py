"""Objects of `torch.distributions` as distributions of ours."""

import inspect
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch import distributions as td
from torch.distributions import constraints

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.domain import REAL, UNIT, Domain, Integers, Interval


class TorchBase(Distribution):
    r"""Any distribution of `torch.distributions`, as a base or a component.

    Its batch axes are axes of the event: numbers that are independent. Its parameters follow the
    module to other dtypes and devices, are saved with it, and are learned where that is wanted.

    Args:
        distribution: such an object, which may be an ``Independent``.
        trainable: whether its parameters are learned, as they are; where they have constraints, put
            a transform before a fixed one instead.

    Raises:
        TypeError: for anything else, or one that is made of others, such as a mixture.

    Example:
        >>> base = TorchBase(td.Laplace(torch.zeros(2), torch.ones(2)))
        >>> base.log_prob(torch.zeros(1, 2)).exp()
        tensor([0.2500])
    """

    def __init__(self, distribution: td.Distribution, *, trainable: bool = False) -> None:
        if not isinstance(distribution, td.Distribution):
            raise TypeError(
                "distribution must be an object of torch.distributions, got "
                f"{type(distribution).__name__}"
            )
        while isinstance(distribution, td.Independent):
            distribution = distribution.base_dist
        parameters = _parameters(distribution)
        # one number is a vector of one
        super().__init__((*distribution.batch_shape, *distribution.event_shape) or 1)
        self.kind = type(distribution)
        self.inner = len(distribution.event_shape)
        self.domain = _domain(distribution)
        for name, value in parameters.items():
            if trainable and value.is_floating_point():
                self.register_parameter(name, nn.Parameter(value.detach().clone()))
            else:
                self.register_buffer(name, value.detach().clone())
        self.names = tuple(parameters)

    @property
    def distribution(self) -> td.Distribution:
        """The object, of the parameters as they are now."""
        return self.kind(**{name: getattr(self, name) for name in self.names}, validate_args=False)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        inside = self.domain.contains(x)
        if self.inner:
            inside = inside.flatten(-self.inner).all(-1)
        log_prob = torch.where(inside, self.distribution.log_prob(x), -torch.inf)
        rest = len(self.event_shape) - self.inner
        return log_prob.flatten(-rest).sum(-1) if rest else log_prob

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        found = self.distribution
        lead = (n, 1) if found.batch_shape + found.event_shape == () else (n,)
        draw = found.rsample if found.has_rsample else found.sample
        if generator is None:
            return draw(lead)
        # these objects know the global source only: it is lent, and given back as it was
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return draw(lead)


def _parameters(distribution: td.Distribution) -> dict[str, Tensor]:
    """The tensors that its constructor was given."""
    taken = inspect.signature(type(distribution).__init__).parameters
    held: dict[str, Any] = vars(distribution)
    found = {name: held[name] for name in taken if isinstance(held.get(name), Tensor)}
    needed = [
        name
        for name, given in taken.items()
        if given.default is given.empty and given.kind is given.POSITIONAL_OR_KEYWORD
    ]
    for name in needed:  # some hold them under other names, as a Beta does
        if name not in found and name in getattr(distribution, "arg_constraints", {}):
            found[name] = getattr(distribution, name)
    if missing := [name for name in needed if name != "self" and name not in found]:
        raise TypeError(
            f"a {type(distribution).__name__} is not made of tensors alone: it needs {missing[0]}"
        )
    return found


def _domain(distribution: td.Distribution) -> Domain:
    """Where its points live; the line where nothing else is known."""
    support: Any = distribution.support
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    if support is constraints.boolean:
        return Integers(2)
    if getattr(support, "is_discrete", False):
        upper = getattr(support, "upper_bound", None)
        return Integers(None if upper is None else int(upper) + 1)
    if support in (constraints.positive, constraints.nonnegative):
        return Interval(0.0)
    if support is constraints.unit_interval:
        return UNIT
    if isinstance(support, constraints.interval):
        return Interval(
            float(torch.as_tensor(support.lower_bound).min()),
            float(torch.as_tensor(support.upper_bound).max()),
        )
    return REAL
