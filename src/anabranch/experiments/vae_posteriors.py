"""Posteriors of variational autoencoders compared on binarised images, at equal time."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits
from torch import Tensor

from anabranch.distributions import DiagonalNormal, GaussianCopula
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import images
from anabranch.experiments.seeded import Rows, table_of_means
from anabranch.models import FlowVariationalAutoencoder, flow_vae
from anabranch.models.autoencoders.hamiltonian_posteriors import WithRows
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
    "iaf 1": {"name": "iaf", "n_layers": 1, "hidden": [100], "gate": 3.0},
    "iaf 4": {"name": "iaf", "n_layers": 4, "hidden": [100], "gate": 3.0},
    "hamiltonian 3": {"name": "hamiltonian", "n_steps": 3, "step": 0.05},
    "langevin 3": {"name": "langevin", "n_rounds": 3, "step": 0.05},
}


class Size(NamedTuple):
    """What is trained on the images of one data set.

    Attributes:
        start: seconds of one processor, that the autoencoder trains for from which all begin.
        seconds: of one processor, which each posterior has then.
        hidden: units of each of two hidden layers, of the encoder and of the decoder.
        latent: of a code.
        test_rows: images that judge, at most.
    """

    start: float
    seconds: float
    hidden: int
    latent: int
    test_rows: int


SIZES = {
    "cpu": {"mnist": Size(120.0, 60.0, 100, 20, 2000), "digits": Size(10.0, 5.0, 50, 8, 297)},
    "full": {
        "mnist": Size(3600.0, 1800.0, 400, 40, 10_000),
        "digits": Size(60.0, 30.0, 50, 8, 297),
    },
}
# Steps for which the same bits serve; they are drawn anew from shares after these.
BATCH, EPOCH, RATE, WARM_UP, DRAWS = 100, 100, 2e-3, 0.1, 50
TURNS = 2
# The first less the second gains at least so much.
GAINS = [
    ("iaf 4", "diagonal", 1.0), ("planar 10", "planar 2", 0.0), ("iaf 4", "iaf 1", 0.0),
    ("planar 10", "nice 10", 0.0), ("planar 2", "nice 2", 0.0),
]  # fmt: skip


class Shares(NamedTuple):
    """Images to train on and to judge by, as shares in [0, 1], (N, D) each."""

    train: Tensor
    test: Tensor


class Score(NamedTuple):
    """Of test images, in nats.

    Attributes:
        bound: mean evidence lower bound.
        log_p: mean importance-weighted bound of all draws.
        divergence: mean log q - log p(z).
        ess: effective sample size of the draws, a share.
        steps: of training.
        seconds: of one processor, of training.
    """

    bound: float
    log_p: float
    divergence: float
    ess: float
    steps: int
    seconds: float


@experiment(
    "vae-posteriors",
    seeds=1,
    summary="flow, copula and Hamiltonian posteriors of a VAE on binarised images, at equal time",
    needs_data=True,
)
def vae_posteriors(run: Run) -> Outcome:
    """The same networks, start and processor time for every posterior.

    The start is an autoencoder with a diagonal posterior, which goes on as one of those compared.
    """
    figures: list[Figure] = []
    tables: list[str] = []
    sizes = SIZES[run.budget]
    for data, size in sizes.items():
        shares = mnist(run, size) if data == "mnist" else digits(run, size)
        steps = affordable_steps(shares, size)
        begin = round(steps["diagonal"] * size.start / size.seconds)
        starts = {seed: started(seed, shares, size, begin) for seed in run.seeds}
        found = {
            name: per_seed(run.seeds, one_posterior, name, shares, size, steps[name], starts)
            for name in POSTERIORS
        }
        figures += figures_of(data, found)
        tables.append(table_of_means(f"posterior, {data}", found))
    settings = {
        "sizes": {data: size._asdict() for data, size in sizes.items()}, "batch_size": BATCH,
        "learning_rate": RATE, "warm_up": WARM_UP, "draws": DRAWS, "posteriors": POSTERIORS,
    }  # fmt: skip
    return Outcome(figures, settings, "\n\n".join(tables))


def figures_of(data: str, found: dict[str, Rows[Score]]) -> list[Figure]:
    """What posteriors gain, with the targets, and all bounds."""
    bounds = {name: rows.mean("bound") for name, rows in found.items()}
    figures = [
        Figure(
            f"{data}: bound of {one} less {other}, nats",
            bounds[one] - bounds[other], least, "higher",
        )
        for one, other, least in GAINS
    ]  # fmt: skip
    figures += [Figure(f"{data}: bound of {name}, nats", bound) for name, bound in bounds.items()]
    figures += [
        Figure(f"{data}: log p by {name}, nats", rows.mean("log_p")) for name, rows in found.items()
    ]
    return figures


def mnist(run: Run, size: Size) -> Shares:
    """Handwritten digits of 28 x 28 pixels."""
    train, test = (images(run, "mnist", part)[0] for part in ("train", "t10k"))
    return Shares(_shares(train, 255), _shares(test[: size.test_rows], 255))


def digits(run: Run, size: Size) -> Shares:
    """Those of scikit-learn, of 8 x 8 pixels; where settings are chosen, other ones judge."""
    loaded: Any = load_digits(return_X_y=True)
    shares = _shares(loaded[0], 16)
    test = shares[-size.test_rows :]
    train = shares[: len(shares) - len(test)]
    return Shares(train[: -len(test)], train[-len(test) :]) if run.tuning else Shares(train, test)


def affordable_steps(shares: Shares, size: Size) -> dict[str, int]:
    """How many steps each posterior makes in its time.

    All are timed by turns, and the fastest turn of each counts, so that what else the machine does
    meanwhile favours none of them.
    """
    fastest = dict.fromkeys(POSTERIORS, float("inf"))
    for _ in range(TURNS):
        for name in POSTERIORS:
            seconds = trained(made(0, name, shares, size), 0, shares, EPOCH)
            fastest[name] = min(fastest[name], seconds)
    return {
        name: max(1, round(size.seconds / seconds)) * EPOCH for name, seconds in fastest.items()
    }


def started(seed: int, shares: Shares, size: Size, steps: int) -> FlowVariationalAutoencoder:
    """The autoencoder that all begin from."""
    model = made(seed, "diagonal", shares, size)
    trained(model, seed, shares, steps, warm_up=WARM_UP)
    return model


def one_posterior(
    seed: int,
    name: str,
    shares: Shares,
    size: Size,
    steps: int,
    starts: dict[int, FlowVariationalAutoencoder],
) -> Score:
    """Go on with one posterior, and score."""
    model = made(seed, name, shares, size)
    take_over(model, starts[seed])
    seconds = trained(model, 1000 + seed, shares, steps)
    return scored(model, binarised(shares.test, 0), seed)._replace(steps=steps, seconds=seconds)


def made(seed: int, name: str, shares: Shares, size: Size) -> FlowVariationalAutoencoder:
    """A fresh model."""
    return flow_vae(
        shares.train.shape[1],
        latent=size.latent,
        posterior=POSTERIORS[name],
        likelihood="bernoulli",
        hidden=[size.hidden, size.hidden],
        seed=seed,
    )


@torch.no_grad()
def take_over(model: FlowVariationalAutoencoder, start: FlowVariationalAutoencoder) -> None:
    """Begin with the networks of another model, and with its means and scales of codes."""
    encoder: Any = model.encoder
    encoder = encoder.encoder if isinstance(encoder, WithRows) else encoder
    encoder.load_state_dict(start.encoder.state_dict())
    model.decoder.load_state_dict(start.decoder.state_dict())
    given: Any = start.posterior
    own: Any = model.posterior
    told = given.conditioner.last
    last: Any
    if isinstance(own, GaussianCopula):
        last = own.parameters_of.network.last
    else:
        last = (own if isinstance(own, DiagonalNormal) else own.base).conditioner.last
    last.weight[: len(told.weight)] = told.weight
    last.bias[: len(told.bias)] = told.bias


def trained(
    model: FlowVariationalAutoencoder,
    seed: int,
    shares: Shares,
    steps: int,
    warm_up: float = 0.0,
) -> float:
    """Train on bits that are drawn anew in each epoch; the processor seconds that it took."""
    objective = ImportanceBound(model.train())
    source = torch.Generator().manual_seed(seed)
    bits = torch.empty(BATCH * EPOCH, shares.train.shape[1])

    def renew(epoch: int) -> None:
        chosen = torch.randint(len(shares.train), (len(bits),), generator=source)
        torch.bernoulli(shares.train[chosen], generator=source, out=bits)

    began = time.process_time()
    fit(
        objective,
        {"x": bits},
        options=FitOptions(
            max_epochs=steps // EPOCH,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            progress=False,
        ),
        schedules=[
            CosineDecay(steps),
            ScheduledBuffer("beta", objective.beta, Annealing(max(1.0, warm_up * steps))),
        ],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
        on_epoch=renew,
    )
    seconds = time.process_time() - began
    model.eval()
    return seconds


@torch.no_grad()
def scored(model: FlowVariationalAutoencoder, test: Tensor, seed: int) -> Score:
    """Bounds of test images."""
    source = torch.Generator().manual_seed(20_000 + seed)
    parts = [model.terms(part, DRAWS, source) for part in test.split(100)]
    reconstruction, divergence = (torch.cat(p, 1).double() for p in zip(*parts, strict=True))
    log_weights = reconstruction - divergence
    ess = torch.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)) / DRAWS
    return Score(
        bound=float(log_weights.mean()),
        log_p=float(iwae(log_weights).mean()),
        divergence=float(divergence.mean()),
        ess=float(ess.mean()),
        steps=0,
        seconds=float("nan"),
    )


def binarised(shares: Tensor, seed: int) -> Tensor:
    """Bits with these probabilities."""
    return torch.bernoulli(shares, generator=torch.Generator().manual_seed(seed))


def _shares(pixels: ArrayLike, largest: int) -> Tensor:
    return torch.as_tensor(np.asarray(pixels), dtype=torch.float32) / largest
