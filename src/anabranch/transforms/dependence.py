"""Columns that others determine, wholly or nearly: the subspace that has a density."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Transform


class Dependence(Transform):
    r"""Leave out columns that others determine, and scale up what those leave of the rest.

    .. math:: z_j = \bigl(x_j - c_j - \sum_{i} B_{ij} x_i\bigr) / s_j, \qquad
        \mathrm{term} = -\sum_j \log s_j

    for each column j that is kept; B is strictly triangular in some order of them, so that the map
    of these is a bijection. A dropped column is a sum of multiples of kept ones, and ``decode``
    puts it there: the density is that of the kept columns, per unit of them, on the subspace where
    all rows lie. A row off that subspace is scored by its kept columns alone.

    Args:
        features: D.
        kept: places of the columns that are kept, in rising order.

    Attributes:
        multiples: (L, L) B, zero until `set_multiples`.
        offset: (L,) c.
        scale: (L,) s.
        restoring: (L, D) what a dropped column is of the kept ones, and these themselves.
        shift: (D,) to be added to that.

    Raises:
        ValueError: for no place, or places out of order or range.

    Source: Golub, Van Loan, "Matrix computations", section 5.4: rank and least squares by QR with
    pivots.

    Example:
        >>> dependence = Dependence(2, [0])
        >>> dependence.set_multiples(restoring=torch.tensor([[1.0, 2.0]]))  # twice the first
        >>> z, term = dependence.encode(torch.tensor([[3.0, 6.0]]))
        >>> z, dependence.decode(z)[0]
        (tensor([[3.]]), tensor([[3., 6.]]))
    """

    multiples: Tensor
    offset: Tensor
    scale: Tensor
    restoring: Tensor
    shift: Tensor
    places: Tensor

    def __init__(self, features: int, kept: Sequence[int]) -> None:
        kept = [int(place) for place in kept]
        if not kept or kept != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= features:
            raise ValueError(
                f"kept must name some of {features} columns in rising order, got {kept}"
            )
        super().__init__((features,), (len(kept),))
        self.kept = kept
        self.bijective = len(kept) == features
        size = len(kept)
        self.register_buffer("places", torch.tensor(kept), persistent=False)
        self.register_buffer("multiples", torch.zeros(size, size))
        self.register_buffer("offset", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("restoring", torch.eye(features)[kept])
        self.register_buffer("shift", torch.zeros(features))

    @torch.no_grad()
    def set_multiples(self, **given: Tensor) -> None:
        """Set the attributes of these names.

        Raises:
            ValueError: for another shape, or a scale that is not positive.
        """
        for name, value in given.items():
            own = getattr(self, name)
            if value.shape != own.shape or (name == "scale" and not bool((value > 0).all())):
                raise ValueError(
                    f"{name} must have the shape {tuple(own.shape)}, and a scale be positive, got "
                    f"{tuple(value.shape)}"
                )
            own.copy_(value)

    def _encode(
        self, x: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        own = x.index_select(-1, self.places)
        z = (own - self.offset - own @ self.multiples) / self.scale
        return z, -self.scale.log().sum().expand(x.shape[:-1])

    def _decode(
        self, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        # I - B has the determinant one, whatever the order in which it is triangular
        unit = torch.eye(len(self.kept), dtype=z.dtype, device=z.device) - self.multiples
        own = torch.linalg.solve(unit, z * self.scale + self.offset, left=False)
        x = own @ self.restoring + self.shift
        return x, self.scale.log().sum().expand(z.shape[:-1])
