"""From a user's rows to what the networks see, and back."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.transforms import (
    Compose,
    Dependence,
    Logit,
    Standardize,
    Support,
    Transform,
    UniformDequantization,
)

Array = NDArray[np.float64]


# Standard deviations over robust ones, from which single rows set the scale of a column.
STRAY = 10.0


def robust_statistics(X: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Centre and scale of columns, and where a few far rows would set them.

    Mean and standard deviation; there the median and the interquartile range over that of a
    standard normal.

    Example:
        >>> robust_statistics(np.array([[0.0], [2.0]]))
        (array([1.]), array([1.]), array([False]))
    """
    size = np.abs(X).max(0)
    size = np.where(size > 0, size, 1.0)  # squares of numbers of any size stay in range
    loc, scale = X.mean(0), (X / size).std(0) * size
    low, middle, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    robust = (high - low) / 1.349
    stray = (robust > 0) & (scale > STRAY * robust)
    return np.where(stray, middle, loc), np.where(stray, robust, scale), stray


@dataclass(frozen=True)
class Preparing:
    """How rows are prepared.

    Attributes:
        levels: number of levels of integer data, None for real data.
        alpha: margin of the logit of integers.
        reg_covar: variance given to constant columns, in units of the standardised ones.
    """

    levels: int | None
    alpha: float
    reg_covar: float


@dataclass
class Preparation:
    """The fixed part of the model: standardising, or for integers dequantizing and logit.

    Columns with bounds, and periodic ones, are brought to the line before they are standardised.
    It runs in float64, so that columns with large means keep their digits; the flows behind it run
    in float32.

    Attributes:
        transform: the map from the data to the space of the flows.
        levels: number of levels of integer data, None for real data.
    """

    transform: Transform
    levels: int | None = None

    @classmethod
    def fit(
        cls,
        X: Array,
        constant: NDArray[np.bool_],
        *,
        levels: int | None,
        alpha: float,
        support: Support | None = None,
    ) -> "Preparation":
        """Take the statistics from training rows."""
        preparation = cls.empty(X.shape[1], levels=levels, alpha=alpha, support=support)
        if levels is None:
            if support is not None:
                X = support.encode(torch.as_tensor(X))[0].numpy()
            loc, scale, _ = robust_statistics(X)
            scale = np.where(constant, 1.0, scale)
            steps = preparation.transform.modules()
            standardize = next(step for step in steps if isinstance(step, Standardize))
            standardize.set_statistics(torch.as_tensor(loc), torch.as_tensor(scale))
        else:
            preparation.transform.initialize(torch.as_tensor(X))
        preparation.transform.eval()
        return preparation

    @classmethod
    def empty(
        cls, n_features: int, *, levels: int | None, alpha: float, support: Support | None = None
    ) -> "Preparation":
        """The transform with its statistics still to be set."""
        standardize = Standardize(n_features).double()
        if levels is None:
            return cls(standardize if support is None else Compose([support, standardize]))
        # Logits of bytes all have one scale; the statistics only centre and scale them.
        steps = [UniformDequantization(n_features, levels=levels), Logit(n_features, alpha=alpha)]
        return cls(Compose([*steps, standardize]).eval(), levels)

    def with_dependence(self, dependence: Dependence | None) -> "Preparation":
        """The same with a map behind it that leaves dependent columns out; None for none."""
        if dependence is None:
            return self
        standardize = next(p for p in self.transform.modules() if isinstance(p, Standardize))
        # columns that are left out keep their own unit, which then is no part of the density
        out = torch.ones(len(standardize.scale), dtype=torch.bool)
        out[dependence.kept] = False
        unit = torch.where(out, standardize.scale, 1.0)
        restoring, shift = dependence.restoring * unit, dependence.shift * unit
        dependence.set_multiples(restoring=restoring, shift=shift)
        standardize.set_statistics(standardize.loc, torch.where(out, 1.0, standardize.scale))
        return replace(self, transform=Compose([self.transform, dependence]).eval())

    @property
    def dependence(self) -> Dependence | None:
        """What leaves dependent columns out, where there is such a map."""
        parts = self.transform.transforms if isinstance(self.transform, Compose) else []
        return next((part for part in parts if isinstance(part, Dependence)), None)

    @torch.no_grad()
    def renew(self, raw: Tensor, z: Tensor, seed: int) -> None:
        """Dequantize integers anew, into z."""
        self.transform.train()
        z.copy_(self.transform.encode(raw, generator=torch.Generator().manual_seed(seed))[0])
        self.transform.eval()

    def encode(self, X: Array) -> tuple[Tensor, Tensor]:
        """Rows as float32 for the flows, and the log-density term in nats, float64."""
        with torch.no_grad():
            z, term = self.transform.encode(torch.as_tensor(X))
        return z.float(), term

    def decode(self, z: Tensor) -> Array:
        """Rows in the units of the data."""
        with torch.no_grad():
            return self.transform.decode(z.double().cpu())[0].numpy()

    def features(self, X: Array) -> Tensor | None:
        """Integers as shares of the highest level, for networks that see no flow; else None.

        Logits of dequantized integers are noise wherever a cell is empty, which is no way to look
        at an image.
        """
        if self.levels is None:
            return None
        return torch.as_tensor(X / (self.levels - 1), dtype=torch.float32)

    def start_features(self, X: Array, z: Array) -> Array:
        """What k-means looks at: standardised columns, or integers on their common scale."""
        return z if self.levels is None else X / math.sqrt(self.levels)
