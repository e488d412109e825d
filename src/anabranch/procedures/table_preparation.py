"""From the coded columns of a table to what the densities see, and back."""

from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from anabranch.algorithms.gaussians import GaussianParameters
from anabranch.algorithms.mixed_gaussians import Completion, MixedParameters
from anabranch.contracts.domain import REAL
from anabranch.procedures.category_shift import CategoryShift
from anabranch.procedures.preparation import Preparation, robust_statistics
from anabranch.transforms import Cells, Compose, Standardize, Support

Array = NDArray[np.float64]


@dataclass
class TablePreparation(Preparation):
    """The fixed part of the model of a table: cells, supports, standardising; codes as they are.

    Rows hold D real columns and then the codes of categories; NaN, where a cell is missing, stays
    NaN, and the density term is that of the known cells.

    Attributes:
        transform: of the real columns; of one that there is not where there is none.
        n_real: D.
        shift: how far categories move the standardised columns; None for not at all.
        proposal: the mixture, of what ``precisely`` gives, from which missing real cells are drawn
            in training; None where there is none.
    """

    n_real: int = 0
    shift: CategoryShift | None = None
    proposal: MixedParameters | None = None
    _completion: tuple[Tensor, Completion] | None = field(default=None, repr=False)

    @classmethod
    def of_rows(
        cls,
        X: Array,
        constant: NDArray[np.bool_],
        *,
        widths: list[float],
        support: Support | None = None,
    ) -> "TablePreparation":
        """Take the statistics of training rows.

        Args:
            X: (n, D + C), NaN where a cell is missing.
            constant: (D,) whether a column does not vary.
            widths: of the cells of each real column, 0 for none.
            support: the map of bounded columns to the line, or None.
        """
        preparation = cls.blank(widths, support=support)
        cells, support, standardize = preparation._parts()
        if preparation.n_real:
            reals = torch.as_tensor(X[:, : preparation.n_real])
            with torch.no_grad():
                z = cells.encode(reals)[0]
                z = z if support is None else support.columnwise(z)[0]
            loc, scale = _statistics(z.numpy())
            scale = np.where(constant | (scale == 0), 1.0, scale)
            standardize.set_statistics(torch.as_tensor(loc), torch.as_tensor(scale))
        return preparation

    @classmethod
    def blank(cls, widths: list[float], *, support: Support | None = None) -> "TablePreparation":
        """The transform with its statistics still to be set; of ``support`` the bounds too."""
        domain = REAL if support is None or support.domain is None else support.domain
        bounded = [] if support is None else [support]
        cells, standardize = (
            Cells(widths or [0.0], codomain=domain),
            Standardize(max(1, len(widths))),
        )
        chain = Compose([cells, *bounded, standardize])
        return cls(chain.double().eval(), n_real=len(widths))

    def precisely(self, X: Array, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Rows in float64, (n, D + C), and the log-density terms of their known cells, (n,)."""
        cells, support, standardize = self._parts()
        reals, codes = torch.as_tensor(X).split([self.n_real, X.shape[1] - self.n_real], dim=1)
        if not self.n_real:
            return codes.clone(), torch.zeros(len(X), dtype=torch.float64)
        with torch.no_grad():
            z = cells.encode(reals, generator=generator)[0]
            z, terms = (z, torch.zeros_like(z)) if support is None else support.columnwise(z)
            z = standardize.encode(z)[0]
            z = z if self.shift is None else z - self.shift.of(codes)
            terms = torch.where(z.isnan(), 0.0, terms - standardize.scale.log())
        return torch.cat([z, codes], 1), terms.sum(1)

    def encode(self, X: Array) -> tuple[Tensor, Tensor]:
        """Rows as float32 for the flows, and the log-density term in nats, float64."""
        z, term = self.precisely(X)
        return z.float(), term

    def decode(self, z: Tensor) -> Array:
        """Rows in the units of the data."""
        reals, codes = z.double().cpu().split([self.n_real, z.shape[1] - self.n_real], dim=1)
        if self.n_real:
            reals = reals if self.shift is None else reals + self.shift.of(codes)
            with torch.no_grad():  # far draws of logarithms overflow
                reals = self.transform.decode(reals)[0].nan_to_num()
        return torch.cat([reals, codes], 1).numpy()

    def renew(self, raw: Tensor, z: Tensor, seed: int) -> None:
        """New places within cells, and new draws of missing cells, into z."""
        self.transform.train()
        rows, _ = self.precisely(raw.numpy(), torch.Generator().manual_seed(seed))
        self.transform.eval()
        if self.proposal is not None and bool(rows[:, : self.n_real].isnan().any()):
            rows = torch.as_tensor(self._completed(self.proposal, raw, rows.numpy(), seed))
        z.copy_(rows)

    def _completed(self, proposal: MixedParameters, raw: Tensor, rows: Array, seed: int) -> Array:
        """Rows with draws of their missing real cells, whose conditional is worked out once."""
        if self._completion is None or self._completion[0] is not raw:
            # of the rows as they are scored: another place in a cell hardly moves a conditional
            scored = self.precisely(raw.numpy())[0].numpy()
            self._completion = raw, Completion.of(proposal, scored)
        drawn = self._completion[1].draw(np.random.RandomState(seed % 2**32))
        return np.where(np.isnan(rows), drawn, rows)

    def unscaled(self, gaussian: GaussianParameters) -> GaussianParameters:
        """A mixture of standardised columns as one of the columns before they were."""
        standardize = self._parts()[2]
        loc, scale = (part.numpy()[: self.n_real] for part in (standardize.loc, standardize.scale))
        covariances = gaussian.covariances * np.outer(scale, scale)
        return GaussianParameters(gaussian.weights, loc + scale * gaussian.means, covariances)

    def features(self, X: Array) -> Tensor | None:
        """Networks see what the flows see."""
        return None

    def _parts(self) -> tuple[Cells, Support | None, Standardize]:
        """Of the transform: cells, the map of bounded columns where there is one, and scales."""
        chain = cast("Compose", self.transform).transforms
        support = chain[1] if len(chain) == 3 else None
        return (
            cast("Cells", chain[0]),
            cast("Support | None", support),
            cast("Standardize", chain[-1]),
        )


def _statistics(z: Array) -> tuple[Array, Array]:
    """Centre and scale of the known cells of each column."""
    known = [column[~np.isnan(column), None] for column in z.T]
    loc, scale, _ = zip(*map(robust_statistics, known), strict=True)
    return np.concatenate(loc), np.concatenate(scale)
