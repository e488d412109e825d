"""Local dependence: means of real columns that move with categories, alike in all components."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import StartOptions
from anabranch.algorithms.mixed_gaussians import MixedRows
from anabranch.procedures.table_starts import MixedStart, mixed_start

Array = NDArray[np.float64]
# What a ridge adds to the rows that have a category, in rows of the table's mean.
RIDGE = 5.0
# Times that shifts and clusters are told from each other.
ROUNDS = 5
# Standard errors of the gain on validation rows that a shift has to exceed.
ERRORS = 1.0


@dataclass(frozen=True)
class CategoryShift:
    r"""How far a row's categories move its real columns, :math:`\sum_j B_j(k_j)`.

    .. math:: p(x, k \mid c) = f_c\Big(x - \sum_j B_j(k_j)\Big) \prod_j p_{cj}(k_j)

    Components alone would have to explain why females of each species weigh less; and where sex
    matters more than species, they would become the sexes. The shift is tied: it is the same in all
    components, so it tells no cluster from another. Each B_j has mean zero over the rows it was
    fitted to, so that a missing category moves nothing.

    Attributes:
        tables: B_j of each category column, (levels, D), in standardised units.

    Source: the location model without interaction: Krzanowski (1993), "The location model for
    mixtures of categorical and continuous variables".

    Example:
        >>> shift = CategoryShift((torch.tensor([[-1.0], [1.0]]),))
        >>> shift.of(torch.tensor([[0.0], [1.0], [torch.nan]]))
        tensor([[-1.],
                [ 1.],
                [ 0.]])
    """

    tables: tuple[Tensor, ...]

    def of(self, codes: Tensor) -> Tensor:
        """The shift of rows by their codes, (n, C) to (n, D)."""
        moved = torch.zeros(len(codes), self.tables[0].shape[1], dtype=codes.dtype)
        moved = moved.to(codes.device)
        for code, table in zip(codes.T, self.tables, strict=True):
            known = ~code.isnan()
            moved[known] += table.to(codes)[code[known].long()]
        return moved

    def lacking(self, z: Tensor) -> int | None:
        """The first category column that lacks cells, of rows (n, D + C); None for none."""
        gaps = z[:, -len(self.tables) :].isnan().any(0)
        return int(gaps.int().argmax()) if bool(gaps.any()) else None

    def filled(self, z: Tensor, column: int) -> Iterator[Tensor]:
        """Rows that lack the category of a column with each of its categories."""
        n_real = z.shape[1] - len(self.tables)
        for category, moved in enumerate(self.tables[column].to(z)):
            x = z.clone()
            x[:, :n_real] -= moved
            x[:, n_real + column] = category
            yield x

    def without(self, rows: MixedRows) -> MixedRows:
        """Rows whose real columns are those before the shift."""
        codes = torch.as_tensor(rows.X[:, rows.n_real :])
        X = rows.X.copy()
        X[:, : rows.n_real] -= self.of(codes).numpy()
        return replace(rows, X=X)


def tied_shift(rows: MixedRows, responsibilities: Array) -> CategoryShift:
    r"""Ridge regression of real columns on categories within components.

    Of each column, the maximum of :math:`-\sum_{nc} r_{nc} (x_n - m_c - B q_n)^2 - 5 |B|^2` over
    means and B, where q_n are indicators of the categories less their frequencies.

    Args:
        rows: standardised real columns and codes; missing cells are left out.
        responsibilities: (n, K).

    Example:
        >>> codes = np.tile([0.0, 1.0], 500)
        >>> cluster = np.repeat([0, 1], 500)
        >>> X = np.c_[4 * cluster + 2 * codes, codes]
        >>> tied_shift(MixedRows(X, [2]), np.eye(2)[cluster]).tables[0].round(decimals=1)
        tensor([[-1.],
                [ 1.]], dtype=torch.float64)
    """
    R, reals = responsibilities * rows.mass[:, None], rows.X[:, : rows.n_real]
    Q, sizes = _indicators(rows), np.cumsum(rows.levels)[:-1]
    B = np.stack([_regressed(x, Q, R) for x in reals.T], axis=1)
    shares = _shares(rows)
    tables = [
        table - share @ table
        for table, share in zip(np.split(B, sizes), np.split(shares, sizes), strict=True)
    ]
    return CategoryShift(tuple(map(torch.as_tensor, tables)))


def fitted_shift(
    rows: MixedRows,
    V: MixedRows,
    start: MixedStart,
    responsibilities: Array,
    options: StartOptions,
) -> tuple[CategoryShift, MixedStart] | None:
    """The shift that goes with clusters, and the start that goes with the shift.

    They are told from each other in turn, and kept where rows held out are denser by more than
    `ERRORS` standard errors; else None.

    Args:
        rows: training rows.
        V: validation rows.
        start: without a shift, which it has to beat.
        responsibilities: (n, K) to begin with.
        options: which covariances are tried.
    """
    if not rows.levels or not rows.n_real:
        return None
    R, found = responsibilities, None
    for _ in range(ROUNDS):
        shift = tied_shift(rows, R)
        moved = shift.without(rows), shift.without(V)
        try:
            then = mixed_start(start.name, *moved, R, options)
        except ValueError:
            break
        R = then.responsibilities
        if found is None or then.score > found[1].score:
            found = shift, then
    return found if found is not None and pays(found, V, start) else None


def pays(found: tuple[CategoryShift, MixedStart], V: MixedRows, start: MixedStart) -> bool:
    """Whether rows held out gain by a shift, beyond doubt."""
    shift, then = found
    gain = then.parameters.log_prob(shift.without(V).X) - start.parameters.log_prob(V.X)
    mass = V.mass / V.mass.sum()
    mean = float(mass @ gain)
    return mean > ERRORS * float(np.linalg.norm(mass * (gain - mean)))


def _indicators(rows: MixedRows) -> Array:
    """Of categories less their shares; zeros where missing, (n, sum of levels)."""
    codes = rows.X[:, rows.n_real :]
    Q = np.concatenate(
        [code[:, None] == np.arange(size) for code, size in zip(codes.T, rows.levels, strict=True)],
        axis=1,
    ).astype(np.float64)
    known = np.repeat(~np.isnan(codes), rows.levels, axis=1)
    return np.where(known, Q - _shares(rows), 0.0)


def _shares(rows: MixedRows) -> Array:
    """Of the categories of each column, side by side."""
    shares = []
    for code, size in zip(rows.X[:, rows.n_real :].T, rows.levels, strict=True):
        known = ~np.isnan(code)
        counts = np.bincount(code[known].astype(np.int64), rows.mass[known], size)
        shares.append(counts / max(counts.sum(), 1.0))
    return np.concatenate(shares)


def _regressed(x: Array, Q: Array, R: Array) -> Array:
    """B of one column, from its known cells."""
    known = ~np.isnan(x)
    x, Q, R = x[known], Q[known], R[known]
    mass = R.sum(0) + 1e-12
    inside, mean = R.T @ Q / mass[:, None], R.T @ x / mass
    weights = R.sum(1)
    A = (weights[:, None] * Q).T @ Q - (mass[:, None] * inside).T @ inside
    b = Q.T @ (weights * x) - (mass[:, None] * inside).T @ mean
    return np.linalg.solve(A + RIDGE * np.eye(len(A)), b)
