"""Copula and marginal flows: ten columns of a known vine, and tails that no Gaussian reaches."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from anabranch.distributions import Flow, Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.clayton import FREEDOM, draw_uniforms
from anabranch.models import copula_flow, realnvp, vine
from anabranch.objectives import CopulaLikelihood, Likelihood
from anabranch.procedures import fit_rows
from anabranch.training import CosineDecay, FitOptions, fit
from anabranch.transforms import DVine

Array = NDArray[np.float64]
D, ROWS, HELD_OUT = 10, 10_000, 5000
FAMILIES = ("clayton", "frank", "gaussian")
STUDENT = {"name": "student", "df": float(FREEDOM)}
SPLINE = {"name": "spline", "lower": STUDENT, "upper": STUDENT, "fit_share": 0.5}
STEPS, BATCH, RATE = 600, 500, 1e-2
TRIANGULAR, PENALTY = {"structure": "triangular", "bins": 8, "hidden": [64]}, 1.0
TAIL_ROWS, TAIL_STEPS, DRAWN, PART, QUANTILE = 20_000, 600, 2_000_000, 200_000, 1e-5


class Copula(NamedTuple):
    """Held-out nats below the true density, and the largest KS of a copula's marginal.

    Attributes:
        chosen: of a vine whose trees and families rows choose.
        learned: of a triangular flow.
        ks: of ten thousand draws of the triangular copula, the largest of all columns.
    """

    seed: int
    chosen: float
    learned: float
    ks: float


class Tails(NamedTuple):
    """Relative errors of the quantiles 1e-5 of both columns, on both sides: the largest of ours.

    Attributes:
        prescribed: of a copula flow with Student tails.
        realnvp: the smallest of RealNVP.
    """

    seed: int
    prescribed: float
    realnvp: float


@experiment(
    "copula-flows", seeds=2, summary="copula flows beside a vine of ten columns that is known"
)
def copula_flows(run: Run) -> Outcome:
    """Marginals are Student's, and both flows have splines with such tails: copulas differ."""
    found = per_seed(run.seeds, one_vine)
    chosen, learned = (found.worst(name, "lower") for name in ("chosen", "learned"))
    figures = [
        Figure("chosen vine, nats below the truth", chosen, 0.1, "lower"),
        Figure("triangular flow, nats below the truth", learned, 0.1, "lower"),
        Figure("triangular flow: largest KS of a marginal", found.worst("ks", "lower")),
        Figure("seconds per seed", found.seconds),
    ]  # fmt: skip
    settings = {
        "columns": D, "rows": ROWS, "held out": HELD_OUT, "families": FAMILIES, "steps": STEPS,
        "batch_size": BATCH, "learning_rate": RATE, "penalty": PENALTY, **TRIANGULAR,
    }  # fmt: skip
    return Outcome(figures, settings, found.table())


@experiment("tails", seeds=3, summary="quantiles of 1e-5 by prescribed tails, and by RealNVP")
def tails(run: Run) -> Outcome:
    """A Clayton copula with Student marginals of three degrees of freedom."""
    found = per_seed(run.seeds, one_tail)
    ours = found.worst("prescribed", "lower")
    figures = [
        Figure("prescribed tails: largest error", ours, 0.05, "lower"),
        Figure("RealNVP: smallest error", found.worst("realnvp"), 0.5, "higher"),
        Figure("seconds per seed", found.seconds),
    ]  # fmt: skip
    settings = {
        "rows": TAIL_ROWS, "steps": TAIL_STEPS, "draws of RealNVP": DRAWN, "quantile": QUANTILE,
        "degrees of freedom": FREEDOM,
    }  # fmt: skip
    return Outcome(figures, settings, found.table())


def known_vine() -> DVine:
    """A D-vine of three trees, of ten normal scores."""
    known = DVine(D, families=FAMILIES, trees=3).double()
    sizes = [D - 1 - k for k in range(3)]
    values = (torch.linspace(0.5, 3, sizes[0]), torch.linspace(0.5, 4, sizes[1]),
              torch.linspace(-0.5, 0.5, sizes[2]))  # fmt: skip
    known.set_pairs([value.double() for value in values])
    return known


def one_vine(seed: int) -> Copula:
    """Draw rows of the known vine, fit both flows, and compare on others."""
    law = Flow(Normal(D), known_vine()).double()
    source = torch.Generator().manual_seed(seed)
    scores, held_out = (law.sample(n, generator=source) for n in (ROWS, HELD_OUT))
    x, test = student(scores), student(held_out)
    truth = law.transform.log_copula_density(held_out).detach()  # pyright: ignore[reportCallIssue]
    truth = truth + torch.from_numpy(stats.t.logpdf(test.numpy(), FREEDOM)).sum(-1)
    chosen = vine(D, marginals=SPLINE, families="simple").double()
    fit_rows(chosen, x)
    learned = copula_flow(D, tails=STUDENT, seed=seed, **TRIANGULAR).double()
    fit_rows(learned, x)
    layers: Any = learned.transform
    marginals, copula = layers.transforms
    # the marginals stay as rows have set them: the copula is trained on their scores
    objective = CopulaLikelihood(Flow(learned.base, copula), copula, weight=PENALTY)
    found, split = marginals.encode(x)[0], int(0.9 * len(x))
    options = FitOptions(
        max_epochs=max(1, STEPS * BATCH // split), batch_size=BATCH, learning_rate=RATE,
        average=0.95, patience=None, monitor="nll", progress=False,
    )  # fmt: skip
    noise = torch.Generator().manual_seed(seed)
    fit(
        objective, {"x": found[:split]}, {"x": found[split:]}, options=options,
        schedules=[CosineDecay(STEPS)], generator=source, noise=noise,
    )  # fmt: skip
    with torch.no_grad():
        below = [float((truth - flow.log_prob(test)).mean()) for flow in (chosen, learned)]
        u, _ = copula.decode(torch.randn(10_000, D, generator=source, dtype=torch.float64))
    ks = max(stats.kstest(column, "norm").statistic for column in u.numpy().T)
    return Copula(seed, below[0], below[1], float(ks))


def student(scores: Tensor) -> Tensor:
    """Normal scores as draws of Student's law."""
    u = torch.special.ndtr(scores).numpy()
    return torch.from_numpy(stats.t.ppf(u, FREEDOM))


def one_tail(seed: int) -> Tails:
    """Fit both, and ask for quantiles that one row in a hundred thousand exceeds."""
    random = np.random.RandomState(seed)
    rows = torch.from_numpy(stats.t.ppf(draw_uniforms(TAIL_ROWS, random), FREEDOM))
    shares = torch.tensor([QUANTILE, 1 - QUANTILE]).double()
    truth = torch.from_numpy(stats.t.ppf(shares.numpy(), FREEDOM)).unsqueeze(-1)
    ours = vine(2, marginals=SPLINE, families="simple").double()
    fit_rows(ours, rows)
    # a vine has the marginals that stand before it
    scores = torch.special.ndtri(shares).unsqueeze(-1).expand(-1, 2)
    quantiles, _ = ours.transform.transforms[0].decode(scores)  # pyright: ignore
    flow = realnvp(2, n_layers=6, hidden=[64, 64], seed=seed)
    source = torch.Generator().manual_seed(seed)
    fit(
        Likelihood(flow), {"x": rows.float()}, options=FitOptions(
            max_epochs=max(1, TAIL_STEPS * BATCH // len(rows)), batch_size=BATCH,
            learning_rate=1e-3, average=0.95, patience=None, progress=False,
        ), schedules=[CosineDecay(TAIL_STEPS)], generator=source,
    )  # fmt: skip
    draws = torch.cat([flow.sample(PART, generator=source) for _ in range(max(1, DRAWN // PART))])
    theirs = torch.from_numpy(np.quantile(draws.double().numpy(), shares.numpy(), axis=0))
    errors = [((found - truth) / truth).abs() for found in (quantiles, theirs)]
    return Tails(seed, float(errors[0].max()), float(errors[1].min()))
