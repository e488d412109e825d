"""What some floors ask of others, without knowing who answers."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor, nn

from anabranch.functional.shapes import Shape

Draw = Callable[[Tensor, slice], Tensor]


class Conditioner(Protocol):
    r"""A network that gives parameters, evaluated on columns."""

    def columns(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Map (\*batch_shape, D, N) to parameters (\*batch_shape, n_params D', N)."""
        ...


class MakesConditioner(Protocol):
    r"""Makes the network of a coupling or of a conditional distribution.

    Such as ``partial(ConvNet, channels=64)``. Its input has the shape in_shape, its output
    out_shape: parameter p of all numbers, p = 0, 1, ... along the first axis. For vectors it has a
    method ``columns``, from (\*batch_shape, in, N) to (\*batch_shape, out, N); for images it is
    called as a module.
    """

    def __call__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        context_shape: Shape,
        batch_shape: Shape,
        generator: Generator | None,
    ) -> nn.Module:
        """Make it; it should start at zero."""
        ...


class AutoregressiveNetwork(Conditioner, Protocol):
    """A conditioner whose parameters of a feature see only the features before it."""

    def arranged(self, columns: Tensor) -> Tensor:
        r"""Columns (\*batch_shape, D, N) in the order in which they take their turns."""
        ...

    def in_turn(self, draw: Draw, like: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Give the features their values one group after the other, by ``draw``.

        Args:
            draw: from the parameters (n_params, \*batch_shape, d, N) of the features at a slice of
                places to their values (\*batch_shape, d, N).
            like: (\*batch_shape, D, N), gives shape, dtype and device.
            context: columns of the context.
        """
        ...


@runtime_checkable
class Marginal(Protocol):
    """Whoever knows the distribution function of each single number of an event.

    Copulas and coders ask for it; see `anabranch.contracts.marginals.Marginals`.
    """

    def cdf(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The probability of a number at most that large, for each number of x."""
        ...

    def icdf(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        """The number below which that share of probability lies."""
        ...


@runtime_checkable
class FitsRows(Protocol):
    """A part that rows set at once, without gradients: kernels, quantiles, chosen vines."""

    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        r"""Become what these rows say.

        Args:
            x: (N, \*event_shape), or (\*batch_shape, N, \*event_shape).
            weights: (N,) or (\*batch_shape, N), what rows count; None for one each.
        """
        ...


class ClusterModel(Protocol):
    """A model with codes and clusters."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes of rows, (N, C)."""
        ...

    def responsibilities(self, x: Tensor) -> Tensor:
        """Log q(k|x), (K, N)."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """The tensors of the model by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> object:
        """Take them back."""
        ...
