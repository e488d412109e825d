"""A copula flow on a Clayton copula with heavy-tailed marginals."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.models import copula_flow
from anabranch.objectives import Likelihood
from anabranch.training import CosineDecay, FitOptions, fit
from anabranch.transforms import Compose, CVine, Elementwise

Array = NDArray[np.float64]

THETA, ENTROPY = 2.0, 0.4314  # the copula, and its mean log-density in nats
FREEDOM = 3  # of the marginals, Student's
ROWS, HELD_OUT, DRAWS, TUNING_ROWS = 20_000, 200_000, 5000, 50_000
STEPS, BATCH, RATE = 500, 2000, 3e-2


class Fitted(NamedTuple):
    """What a flow has found, and how far each of its marginals is from the true one.

    Attributes:
        log_c: mean log-density of its copula on held-out rows, in nats.
        true_log_c: that of the true copula on the same rows.
        excess: how much its negative log-density of these rows is above the true one, in nats.
        theta: the parameter of its pair.
        ks_1: distance of Kolmogorov and Smirnov of the first column of draws to the true marginal.
        ks_2: that of the second column.
        distance: between the flow's cumulative marginals and the true ones at the held-out rows.
    """

    log_c: float
    true_log_c: float
    excess: float
    theta: float
    ks_1: float
    ks_2: float
    distance: float


@experiment("clayton", seeds=5, summary="copula flow: a Clayton copula with Student marginals")
def clayton(run: Run) -> Outcome:
    """Marginals and copula are learned together, by the likelihood of the rows alone."""
    found = per_seed(run.seeds, one_fit, HELD_OUT if not run.tuning else TUNING_ROWS)
    figures = [
        Figure("mean log c held out, nats", found.mean("log_c"), ENTROPY - 0.01, "higher"),
        Figure(
            f"largest KS of marginal 1 at {DRAWS}", found.worst("ks_1", "lower"), 0.015, "lower"
        ),
        Figure(
            f"largest KS of marginal 2 at {DRAWS}", found.worst("ks_2", "lower"), 0.015, "lower"
        ),
        Figure("mean log c of the truth, same rows", found.mean("true_log_c")),
        Figure("NLL above the truth, nats", found.mean("excess")),
        Figure("theta (truth 2)", found.mean("theta")),
        Figure("worst distance of a marginal's cumulative", found.worst("distance", "lower")),
        Figure("seconds per seed", found.seconds),
    ]
    settings = {
        "theta": THETA, "degrees of freedom": FREEDOM, "rows": ROWS, "held out": HELD_OUT,
        "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "average": 0.95,
    }  # fmt: skip
    return Outcome(figures, settings, found.table())


def one_fit(seed: int, held_out: int) -> Fitted:
    """Fit to the rows of this seed, and measure on others."""
    random = np.random.RandomState(seed)
    u, test = draw_uniforms(ROWS, random), draw_uniforms(held_out, random)
    flow = copula_flow(2, families="clayton", seed=seed)
    generator = torch.Generator().manual_seed(seed)
    fit(
        Likelihood(flow),
        {"x": torch.from_numpy(stats.t.ppf(u, FREEDOM)).float()},
        options=FitOptions(
            max_epochs=max(1, STEPS * BATCH // ROWS), batch_size=BATCH, learning_rate=RATE,
            patience=None, average=0.95, progress=False,
        ),
        schedules=[CosineDecay(STEPS)],
        generator=generator,
    )  # fmt: skip
    maps, vine = _parts(flow)
    x = stats.t.ppf(test, FREEDOM)
    rows = torch.from_numpy(x).float()
    with torch.no_grad():
        scores, _ = maps.encode(rows)
        log_c = vine.log_copula_density(scores).mean()
        nll = -flow.log_prob(rows).mean()
        draws = flow.sample(DRAWS, generator=generator).double().numpy()
    true_log_c = float(log_density(test).mean())
    ks = [stats.kstest(column, stats.t(FREEDOM).cdf).statistic for column in draws.T]
    return Fitted(
        log_c=float(log_c),
        true_log_c=true_log_c,
        excess=float(nll) + true_log_c + float(stats.t.logpdf(x, FREEDOM).sum(1).mean()),
        theta=vine.pairs()[0].item(),
        ks_1=float(ks[0]),
        ks_2=float(ks[1]),
        distance=float(np.abs(torch.special.ndtr(scores).numpy() - test).max()),
    )


def _parts(flow: Flow) -> tuple[Compose, CVine]:
    """The maps of the columns, and the vine."""
    parts = list(flow.modules())
    maps = Compose(part for part in parts if isinstance(part, Elementwise))
    return maps, next(part for part in parts if isinstance(part, CVine))


def draw_uniforms(n: int, random: np.random.RandomState) -> Array:
    """Rows of the copula, (n, 2): the second column by the inverse of its h-function."""
    v, p = random.uniform(size=(2, n))
    u = ((p ** (-THETA / (1 + THETA)) - 1) * v**-THETA + 1) ** (-1 / THETA)
    return np.stack((v, u), 1)


def log_density(u: Array) -> Array:
    """The true log-density of the copula, (n,), in nats."""
    powers = (u**-THETA).sum(1) - 1
    return np.log1p(THETA) - (1 + THETA) * np.log(u).sum(1) - (2 + 1 / THETA) * np.log(powers)
