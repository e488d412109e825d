"""A flow on eight Gaussians by likelihood, by a critic, and by both."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed, table_of_means
from anabranch.models import realnvp
from anabranch.networks import MLP
from anabranch.objectives import Likelihood
from anabranch.problems import draw_around, gaussian_ring
from anabranch.procedures import TrainingRun, fit_flow_gan
from anabranch.training import CosineDecay, FitOptions, fit

K, RADIUS, STD = 8, 2.0, 0.1
RING = gaussian_ring(K, RADIUS, STD)
ROWS, HELD_OUT, DRAWN, BATCH = 4000, 4000, 4000, 200
STEPS, RATE, HIDDEN, LAYERS = 1500, 1e-3, [64, 64], 6
NEAR = 3.0  # standard deviations within which a draw is of high quality
WAYS = {"mle": None, "adversarial": 0.0, "hybrid": 1.0}


class Fitted(NamedTuple):
    """Held-out negative log-likelihood in nats, the share of draws near a mode, and modes met."""

    seed: int
    nll: float
    near_a_mode: float
    modes: int


@experiment("flow-gan", seeds=3, summary="Flow-GAN on a ring: likelihood, critic, and both")
def flow_gan(run: Run) -> Outcome:
    """The same flow and as many steps, whatever is minimised."""
    found = {way: per_seed(run.seeds, one_fit, way) for way in WAYS}
    mle, adversarial, hybrid = (found[way] for way in WAYS)
    truth = RING.entropy().value

    def above(rows: Rows[Fitted], field: str) -> float:
        return rows.mean(field) - mle.mean(field)

    figures = [
        Figure("hybrid: NLL above MLE, nats", above(hybrid, "nll"), 0.05, "lower"),
        Figure(
            "hybrid: share of draws near a mode, above MLE", above(hybrid, "near_a_mode"),
            0.0, "higher",
        ),
        Figure("critic alone: NLL above MLE, nats", above(adversarial, "nll"), 1.0, "higher"),
        Figure("MLE: NLL above the truth, nats", mle.mean("nll") - truth),
        *(
            Figure(f"{way}: share of draws near a mode", rows.mean("near_a_mode"))
            for way, rows in found.items()
        ),
        Figure("seconds per fit", hybrid.seconds),
    ]  # fmt: skip
    settings = {
        "rows": ROWS, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE,
        "layers": LAYERS, "hidden": HIDDEN, "near": NEAR,
    }  # fmt: skip
    return Outcome(figures, settings, table_of_means("trained by", found))


def one_fit(seed: int, way: str) -> Fitted:
    """Train one way, and look at density and draws."""
    x, held_out = (rows_of(n, seed + 1000 * part) for part, n in enumerate((ROWS, HELD_OUT)))
    flow = realnvp(2, n_layers=LAYERS, hidden=HIDDEN, seed=seed)
    train(flow, x, way, seed)
    with torch.no_grad():
        nll = -float(flow.log_prob(held_out).mean())
        drawn = flow.sample(DRAWN, generator=torch.Generator().manual_seed(seed)).double().numpy()
    distances = np.linalg.norm(drawn[:, None] - RING.means, axis=-1)
    near = distances.min(1) < NEAR * STD
    modes = np.bincount(distances.argmin(1)[near], minlength=K) > DRAWN / K / 4
    return Fitted(seed, nll, float(near.mean()), int(modes.sum()))


def train(flow: Flow, x: Tensor, way: str, seed: int) -> None:
    """By likelihood, by a critic, or by both."""
    source = torch.Generator().manual_seed(seed)
    options = FitOptions(
        max_epochs=max(1, STEPS * BATCH // len(x)), batch_size=BATCH, learning_rate=RATE,
        average=0.99, patience=None, min_evaluation_steps=STEPS, progress=False,
    )  # fmt: skip
    weight, decay = WAYS[way], CosineDecay(STEPS)
    if weight is None:
        fit(Likelihood(flow), {"x": x}, options=options, schedules=[decay], generator=source)
        return
    critic = MLP(2, 1, HIDDEN, generator=source)
    run = TrainingRun(options, source, schedules=[decay])
    fit_flow_gan(flow, critic, x, run, likelihood=weight)


def rows_of(n: int, seed: int) -> Tensor:
    """Rows of the ring."""
    return torch.from_numpy(draw_around(RING.means, STD, n, random_state=seed)[0]).float()
