"""Posteriors of a linear Gaussian model, where bound, gap and likelihood are known."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anabranch.distributions import Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.seeded import joined, table_of_means
from anabranch.models import FlowVariationalAutoencoder
from anabranch.models.autoencoders.dense_coders import Decoder
from anabranch.models.autoencoders.latent_posteriors import latent_posterior
from anabranch.models.specs import Spec
from anabranch.objectives import ImportanceBound, iwae
from anabranch.problems import LinearGaussian
from anabranch.training import CosineDecay, FitOptions, fit

Array = NDArray[np.float64]

FEATURES, LATENT, NOISE = 6, 3, 0.5
POSTERIORS: dict[str, Spec] = {
    "diagonal": "diagonal",
    "rank-one copula": {"name": "copula", "structure": "rank-one"},
    "copula": "copula",
    "linear iaf": {"name": "iaf", "n_layers": 1, "hidden": []},
    "iaf 4": {"name": "iaf", "hidden": [32]},
    "planar 2": {"name": "planar", "n_layers": 2},
    "planar 8": {"name": "planar", "n_layers": 8},
    "radial 8": {"name": "radial", "n_layers": 8},
    "nice 4": {"name": "nice", "n_layers": 4, "hidden": [32]},
}
EXACT = ("copula", "linear iaf", "iaf 4", "planar 8")
ROWS, STEPS, BATCH, RATE = 4096, 1000, 256, 1e-2
HELD_OUT, DRAWS = 500, 400
BOUNDS = (1, 10, 100)


class Gap(NamedTuple):
    """What a posterior was found to lack.

    Attributes:
        gap: mean of log p(x) less the evidence lower bound, in nats.
        mean_field: the gap of the best independent normals, in closed form.
        excess: the largest of (bound - log p(x)) in standard errors, over bounds of 1, 10 and 100
            draws.
        log_p_error: of importance sampling with all draws, mean over rows, in nats.
        ess: effective sample size of the draws of a row, a share.
    """

    gap: float
    mean_field: float
    excess: float
    log_p_error: float
    ess: float


@experiment(
    "linear-gaussian-posteriors", seeds=3, summary="flow posteriors where the truth is known"
)
def linear_gaussian_posteriors(run: Run) -> Outcome:
    """Gaps of each posterior below a decoder that is the truth."""
    found = {name: per_seed(run.seeds, one_gap, name) for name in POSTERIORS}
    everything = joined(found.values())
    off = np.abs(found["diagonal"].gain("gap", "mean_field")).max()
    figures = [
        Figure("mean-field gap less the closed form, nats", float(off), 0.02, "lower"),
        *(
            Figure(f"gap of {name}, nats", found[name].worst("gap", "lower"), 0.02, "lower")
            for name in EXACT
        ),
        Figure(
            "largest excess of a bound, standard errors",
            everything.worst("excess", "lower"), 3.0, "lower",
        ),
        *(Figure(f"gap of {n}, nats", r.mean("gap")) for n, r in found.items() if n not in EXACT),
        Figure("mean-field gap in closed form, nats", everything.mean("mean_field")),
    ]  # fmt: skip
    settings = {
        "features": FEATURES, "latent": LATENT, "noise": NOISE, "rows": ROWS, "steps": STEPS,
        "batch_size": BATCH, "learning_rate": RATE, "held out": HELD_OUT, "draws": DRAWS,
        "posteriors": POSTERIORS,
    }  # fmt: skip
    table = table_of_means("posterior", found)
    return Outcome(figures, settings, table)


def one_gap(seed: int, name: str) -> Gap:
    """Train a posterior by the bound, and measure on fresh rows."""
    problem = LinearGaussian.random(FEATURES, LATENT, NOISE, random_state=seed)
    model = exact_model(problem, POSTERIORS[name], seed)
    X, _ = problem.sample(ROWS + HELD_OUT, random_state=10_000 + seed)
    rows = torch.as_tensor(X).float()
    epochs = -(-STEPS * BATCH // ROWS)
    fit(
        ImportanceBound(model),
        {"x": rows[:ROWS]},
        {"x": rows[:ROWS]},
        options=FitOptions(
            max_epochs=epochs,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            min_evaluation_steps=max(STEPS // 10, 1),
        ),
        schedules=[CosineDecay(STEPS)],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
    )
    return measured(model.double(), problem, X[ROWS:], seed)


def exact_model(problem: LinearGaussian, posterior: Spec, seed: int) -> FlowVariationalAutoencoder:
    """A model whose decoder is the problem, and does not learn; its posterior sees x itself."""
    d, j = problem.loadings.shape
    source = torch.Generator().manual_seed(seed)
    decoder = Decoder(d, j, (), "gaussian", scaled=True).requires_grad_(False)
    loadings, offset = torch.as_tensor(problem.loadings), torch.as_tensor(problem.offset)
    decoder.set_linear(loadings, offset, problem.noise_std)
    return FlowVariationalAutoencoder(
        nn.Identity(), latent_posterior(posterior, j, d, source), Normal(j), decoder
    )


@torch.no_grad()
def measured(
    model: FlowVariationalAutoencoder, problem: LinearGaussian, X: np.ndarray, seed: int
) -> Gap:
    """Bounds at fresh rows beside the likelihood."""
    truth = torch.as_tensor(problem.log_prob(X))
    source = torch.Generator().manual_seed(20_000 + seed)
    reconstruction, divergence = model.terms(torch.as_tensor(X), DRAWS, source)
    beyond = reconstruction - divergence - truth  # log-weights less log p(x), (draws, rows)
    weights = torch.exp(beyond)
    ess = weights.sum(0).square() / (DRAWS * weights.square().sum(0))
    return Gap(
        gap=-float(beyond.mean()),
        mean_field=problem.mean_field_gap(),
        excess=max(excess(beyond, m) for m in BOUNDS),
        log_p_error=float(iwae(beyond).abs().mean()),
        ess=float(ess.mean()),
    )


def excess(beyond: Tensor, m: int) -> float:
    """By how many standard errors the bound of m draws is above log p(x)."""
    bounds = iwae(beyond.unflatten(0, (-1, m)).transpose(0, 1)).flatten()
    error = float(bounds.std()) / len(bounds) ** 0.5
    return float(bounds.mean()) / max(error, 1e-9)  # rounding alone is no excess
