"""A table of mixed columns among the rows of a fit: its starts, and draws of what is missing."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.algorithms.gaussians import RowWeights, StartOptions
from anabranch.algorithms.mixed_gaussians import Completion, MixedParameters, MixedRows
from anabranch.distributions import ContaminatedMixture, Mixture
from anabranch.objectives import marginal_joint
from anabranch.procedures.category_shift import CategoryShift, fitted_shift, tied_shift
from anabranch.procedures.mixture_starts import Start, StartRows, make_starts
from anabranch.procedures.rows import Rows
from anabranch.procedures.table_preparation import TablePreparation
from anabranch.procedures.table_starts import MixedStart, expected_reals, mixed_start

Array = NDArray[np.float64]
# Draws of each row with missing cells: of those that judge in training, and of those scored.
JUDGING, SCORING = 16, 64


def table_starts(
    rows: MixedRows,
    V: MixedRows,
    options: StartOptions,
    *,
    init_params: str,
    n_init: int,
    random_state: np.random.RandomState,
    given: tuple[str, Array] | None = None,
) -> list[tuple[MixedStart, Start]]:
    """The starts that a fit compares, the one with the best score first.

    They begin where those of the real columns do (distances see no categories), and EM over all
    columns goes on from there.

    Args:
        rows: training rows, missing cells NaN.
        V: validation rows likewise.
        options: how starts are searched.
        init_params: how they are found, as in `make_starts`.
        n_init: draws.
        random_state: source of randomness.
        given: name and responsibilities to start from instead.
    """
    n_real = rows.n_real
    seen = expected_reals(rows)
    both = np.concatenate([rows.X, V.X]), np.concatenate([rows.mass, V.mass])
    weights = None if rows.weights is None and V.weights is None else both[1]
    together = MixedRows(both[0], rows.levels, None, weights)
    unseen = expected_reals(together)[len(seen) :]
    counts = None if weights is None else RowWeights(rows.mass, V.mass)
    found = make_starts(
        StartRows(seen, unseen[:, :n_real], seen, rows.known, counts),
        options,
        init_params=init_params,
        n_init=n_init,
        random_state=random_state,
        given=given,
    )
    pairs = list(_continued(found, rows, V, options))
    return sorted(pairs, key=lambda pair: pair[0].score, reverse=True)


TableStarts = list[tuple[MixedStart, Start]]


def shifted_starts(
    starts: TableStarts,
    rows: MixedRows,
    V: MixedRows,
    options: StartOptions,
    again: Callable[[MixedRows, MixedRows], TableStarts],
) -> tuple[CategoryShift | None, TableStarts]:
    """The shift by categories that the best start asks for, and the starts that go with it.

    Args:
        starts: without a shift, the best first.
        rows: training rows.
        V: validation rows.
        options: how starts are searched.
        again: searches them among other rows.

    Returns:
        The shift and starts of the rows without it; None and the given starts where none pays.
    """
    best = starts[0][0]
    beginnings = [best.responsibilities]
    if rows.levels:  # where a category took the clusters, what it explains by itself frees them
        alone = tied_shift(rows, np.ones((len(rows.X), 1)))
        beginnings.append(again(alone.without(rows), alone.without(V))[0][0].responsibilities)
    found = [fitted_shift(rows, V, best, R, options) for R in beginnings]
    paying = [pair for pair in found if pair is not None]
    if not paying:
        return None, starts
    shift, then = max(paying, key=lambda pair: pair[1].score)
    goes_on = then, Start(then.gaussian, then.responsibilities, starts[0][1].trusted)
    searched = [*again(shift.without(rows), shift.without(V)), goes_on]
    return shift, sorted(searched, key=lambda pair: pair[0].score, reverse=True)


def _continued(
    found: Iterator[Start], rows: MixedRows, V: MixedRows, options: StartOptions
) -> Iterator[tuple[MixedStart, Start]]:
    for start in found:
        mixed = mixed_start(start.gaussian.name, rows, V, start.responsibilities, options)
        # those of gaps and labels are kept: the components are fitted to them first
        R = start.responsibilities if start.trusted else mixed.responsibilities
        yield mixed, Start(mixed.gaussian, R, start.trusted)


def complete(rows: Rows, preparation: TablePreparation, seed: int) -> None:
    """Fill missing cells in rows to train on with a first draw."""
    if rows.raw is not None:
        preparation.renew(rows.raw, rows.z, seed)


def judge_by_draws(rows: Rows, preparation: TablePreparation, seed: int) -> None:
    """Give rows that judge several draws of their missing cells; nothing where none is missing."""
    proposal = preparation.proposal
    missing = rows.z[:, : preparation.n_real].isnan()
    if proposal is None or not bool(missing.any()):
        return
    Z = rows.z.double().numpy()
    completion = Completion.of(proposal, Z)
    drawn, log_prob = completion.draws(JUDGING, np.random.RandomState(seed))
    draws = np.tile(Z[:, None], (1, JUDGING, 1))
    draws_log_prob = np.zeros((len(Z), JUDGING))
    draws[completion.gaps], draws_log_prob[completion.gaps] = drawn, log_prob
    rows.draws = torch.as_tensor(draws, dtype=torch.float32)
    rows.draws_log_prob = torch.as_tensor(draws_log_prob, dtype=torch.float32)
    rows.z.copy_(rows.draws[:, 0])


@torch.no_grad()
def joint_of_known(mixture: Mixture, proposal: MixedParameters | None, z: Tensor) -> Tensor:
    """Log p(x_o, k_o, c) of rows that all lack real cells, (K, n) in float64.

    By importance sampling from the conditional of the start, the same at every call. A broad
    density beside the components is summed exactly: no draw of theirs reaches where it lies.

    Raises:
        ValueError: where there is no start to draw from.
    """
    if proposal is None:
        raise ValueError("the model was fitted without a mixture to draw missing cells from")
    completion = Completion.of(proposal, z.double().cpu().numpy())
    drawn, log_prob = completion.draws(SCORING, np.random.RandomState(0))
    draws, log_prob = torch.as_tensor(drawn).to(z), torch.as_tensor(log_prob).to(z)
    if not isinstance(mixture, ContaminatedMixture):
        return marginal_joint(mixture, draws, log_prob).double()
    joint = marginal_joint(mixture.clean, draws, log_prob)
    broad = mixture.broad.log_prob(z) + mixture.log_weights.unsqueeze(-1)
    return mixture.contaminate(joint, broad).double()
