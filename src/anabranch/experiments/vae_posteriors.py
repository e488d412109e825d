"""Posteriors of variational autoencoders compared on binarised MNIST."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import images
from anabranch.experiments.seeded import table_of_means
from anabranch.models import FlowVariationalAutoencoder, flow_vae
from anabranch.models.specs import Spec
from anabranch.objectives import ImportanceBound, iwae
from anabranch.training import Annealing, CosineDecay, FitOptions, ScheduledBuffer, fit

POSTERIORS: dict[str, Spec] = {
    "diagonal": "diagonal",
    "copula": "copula",
    "rank-one copula": {"name": "copula", "structure": "rank-one"},
    "planar 2": {"name": "planar", "n_layers": 2},
    "planar 10": {"name": "planar", "n_layers": 10},
    "radial 10": {"name": "radial", "n_layers": 10},
    "nice 2": {"name": "volume-preserving", "n_layers": 2},
    "nice 10": {"name": "volume-preserving", "n_layers": 10},
    "iaf 1": {"name": "iaf", "n_layers": 1, "hidden": [100]},
    "iaf 4": {"name": "iaf", "n_layers": 4, "hidden": [100]},
    "hamiltonian 3": {"name": "hamiltonian", "n_steps": 3, "step": 0.05},
    "langevin 3": {"name": "langevin", "n_rounds": 3, "step": 0.05},
}
# Rows that are trained on, steps, hidden units and latents, by budget.
SIZES = {"cpu": (10_000, 4000, 200, 20), "full": (60_000, 60_000, 400, 40)}
BATCH, RATE, WARM_UP = 100, 2e-3, 0.2
TEST_ROWS, DRAWS = 500, 200


class Score(NamedTuple):
    """Of test images, in nats.

    Attributes:
        bound: mean evidence lower bound.
        log_p: mean importance-weighted bound of all draws.
        divergence: mean log q - log p(z).
        ess: effective sample size of the draws, a share.
        seconds: of training.
    """

    bound: float
    log_p: float
    divergence: float
    ess: float
    seconds: float


@experiment(
    "vae-posteriors",
    seeds=1,
    summary="flow, copula and Hamiltonian posteriors of a VAE on binarised MNIST",
    needs_data=True,
)
def vae_posteriors(run: Run) -> Outcome:
    """The same networks and steps for every posterior."""
    n_rows, steps, hidden, latent = SIZES[run.budget]
    x = _shares(images(run, "mnist", "train")[0][:n_rows])
    test = binarised(_shares(images(run, "mnist", "t10k")[0][:TEST_ROWS]), 0)
    found = {
        name: per_seed(run.seeds, one_posterior, name, x, test, run.budget) for name in POSTERIORS
    }
    bounds = {name: rows.mean("bound") for name, rows in found.items()}
    gains = [
        ("iaf 4", "diagonal", 1.0), ("planar 10", "planar 2", 0.0), ("iaf 4", "iaf 1", 0.0),
        ("planar 10", "nice 10", 0.0), ("planar 2", "nice 2", 0.0),
    ]  # fmt: skip
    figures = [
        Figure(f"bound of {one} less {other}, nats", bounds[one] - bounds[other], least, "higher")
        for one, other, least in gains
    ]
    figures += [Figure(f"bound of {name}, nats", bound) for name, bound in bounds.items()]
    figures += [
        Figure(f"log p by {name}, nats", rows.mean("log_p")) for name, rows in found.items()
    ]
    settings = {
        "rows": n_rows, "steps": steps, "hidden": hidden, "latent": latent, "batch_size": BATCH,
        "learning_rate": RATE, "warm_up": WARM_UP, "test rows": TEST_ROWS, "draws": DRAWS,
        "posteriors": POSTERIORS,
    }  # fmt: skip
    return Outcome(figures, settings, table_of_means("posterior", found))


def one_posterior(seed: int, name: str, x: Tensor, test: Tensor, budget: str) -> Score:
    """Train with one posterior, on bits that are drawn anew in each epoch."""
    _, steps, hidden, latent = SIZES[budget]
    model = flow_vae(
        x.shape[1],
        latent=latent,
        posterior=POSTERIORS[name],
        likelihood="bernoulli",
        hidden=[hidden, hidden],
        context=hidden,
        seed=seed,
    )
    objective = ImportanceBound(model)
    bits = binarised(x, seed)

    def renew(epoch: int) -> None:
        bits.copy_(binarised(x, 1000 * seed + epoch + 1))

    result = fit(
        objective,
        {"x": bits},
        options=FitOptions(
            max_epochs=max(1, steps * BATCH // len(x)),
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            progress=False,
        ),
        schedules=[
            CosineDecay(steps),
            ScheduledBuffer("beta", objective.beta, Annealing(WARM_UP * steps)),
        ],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
        on_epoch=renew,
    )
    return scored(model.eval(), test, seed)._replace(seconds=result.seconds)


@torch.no_grad()
def scored(model: FlowVariationalAutoencoder, test: Tensor, seed: int) -> Score:
    """Bounds of test images."""
    source = torch.Generator().manual_seed(20_000 + seed)
    parts = [model.terms(part, DRAWS, source) for part in test.split(50)]
    reconstruction, divergence = (torch.cat(p, 1).double() for p in zip(*parts, strict=True))
    log_weights = reconstruction - divergence
    ess = torch.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)) / DRAWS
    return Score(
        bound=float(log_weights.mean()),
        log_p=float(iwae(log_weights).mean()),
        divergence=float(divergence.mean()),
        ess=float(ess.mean()),
        seconds=float("nan"),
    )


def binarised(shares: Tensor, seed: int) -> Tensor:
    """Bits with these probabilities."""
    return torch.bernoulli(shares, generator=torch.Generator().manual_seed(seed))


def _shares(pixels: NDArray[np.float64]) -> Tensor:
    return torch.as_tensor(pixels, dtype=torch.float32) / 255
