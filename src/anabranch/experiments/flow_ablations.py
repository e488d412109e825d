"""What the parts of Glow and Flow++ are worth, on digits of 8 x 8 pixels."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from anabranch.data import load_sklearn
from anabranch.distributions import Distribution, Flow, Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.flow_training import mean_bits, pixels, train_flow
from anabranch.models import build, nsf
from anabranch.objectives import Likelihood
from anabranch.training import CosineDecay, FitOptions, fit
from anabranch.transforms import (
    Affine,
    Compose,
    Elementwise,
    Transform,
    UniformDequantization,
    VariationalDequantization,
)

SHAPE, LEVELS, TRAIN = [8, 8], 17, 1400
OPTIONS = FitOptions(
    max_epochs=40,
    batch_size=50,
    learning_rate=5e-3,
    average=0.98,
    clip_norm=50.0,
    patience=None,
    progress=False,
)
GLOW: dict[str, Any] = {"name": "glow", "n_levels": 1, "n_steps": 6, "channels": 16}
GLOWS: dict[str, dict[str, Any]] = {
    "conv": GLOW,
    "shuffle": {**GLOW, "mixing": "shuffle"},
    "reverse": {**GLOW, "mixing": "reverse"},
    "additive": {**GLOW, "coupling": "additive"},
}
FLOWPP: dict[str, Any] = {
    "name": "flowpp",
    "n_couplings": [2, 2, 2],
    "channels": 16,
    "components": 4,
    "patch": 1,
}
# wider, so that it has no fewer parameters than the mixture's
AFFINE: dict[str, Any] = {**FLOWPP, "coupling": "affine", "channels": 24}
# a discrete distribution that a normal density has within its cells, in units of a cell
CELLS, LOC, STD, DRAWS = 8, 3.8, 0.35, 4000


class Mixings(NamedTuple):
    """Bits per dimension of test digits."""

    seed: int
    conv: float
    shuffle: float
    reverse: float
    additive: float


class Parts(NamedTuple):
    """Bits per dimension of test digits; the gaps of one number, in nats."""

    seed: int
    variational: float
    uniform: float
    affine: float
    gap: float
    gap_uniform: float


@experiment("glow-permutations", seeds=5, summary="Glow with 1x1 convolutions, shuffled, reversed")
def glow_permutations(run: Run) -> Outcome:
    """Bits per dimension of digits at equal steps, in the mean over the seeds."""
    rows = per_seed(run.seeds, mixings)
    gains = (("conv", "shuffle"), ("shuffle", "reverse"), ("conv", "additive"))
    figures = [
        Figure(f"{one} less {other}, bits/dim", rows.mean(one) - rows.mean(other), 0.0, "lower")
        for one, other in gains
    ]
    figures += [Figure(f"{name}, bits/dim", rows.mean(name)) for name in GLOWS]
    figures.append(Figure("seconds per seed", rows.seconds))
    settings = {"recipes": GLOWS, "fit": OPTIONS.trajectory(), "train": TRAIN}
    return Outcome(figures, settings, rows.table())


def mixings(seed: int) -> Mixings:
    """Train Glow in each way on one split of the digits."""
    train, test = digits(seed)
    return Mixings(seed, **{name: _bits(spec, train, test, seed) for name, spec in GLOWS.items()})


@experiment("flowpp-ablation", seeds=3, summary="what variational noise and mixtures are worth")
def flowpp_ablation(run: Run) -> Outcome:
    """Flow++ on digits with less; and one number whose bound can be compared with the truth."""
    rows = per_seed(run.seeds, parts)
    noise = rows.gain("uniform", over="variational").mean()
    mixture = rows.gain("affine", over="variational").mean()
    sizes = {name: count(spec) for name, spec in (("mixture", FLOWPP), ("affine", AFFINE))}
    figures = [
        Figure("gain by variational noise, bits/dim", noise, 0.02, "higher"),
        Figure("gain by mixtures of logistics, bits/dim", mixture, 0.0, "higher"),
        Figure("one number: gap of the bound, nats", rows.worst("gap", "lower"), 0.02, "lower"),
        Figure("one number: gap by uniform noise, nats", rows.worst("gap_uniform"), 0.02, "higher"),
        Figure("Flow++, bits/dim", rows.mean("variational")),
        Figure("uniform noise, bits/dim", rows.mean("uniform")),
        Figure("affine couplings, bits/dim", rows.mean("affine")),
        Figure("seconds per seed", rows.seconds),
    ]
    settings = {"recipe": FLOWPP, "affine": AFFINE, "fit": OPTIONS.trajectory(), "sizes": sizes}
    return Outcome(figures, settings, rows.table())


def parts(seed: int) -> Parts:
    """Train Flow++ in each way on one split of the digits, and both noises on one number."""
    train, test = digits(seed)
    return Parts(
        seed,
        _bits(FLOWPP, train, test, seed, dequantization="variational"),
        _bits(FLOWPP, train, test, seed),
        _bits(AFFINE, train, test, seed, dequantization="variational"),
        one_number(variational=True, seed=seed),
        one_number(variational=False, seed=seed),
    )


def digits(seed: int) -> tuple[Tensor, Tensor]:
    """Training digits of scikit-learn, the last of which choose, and test digits."""
    x = pixels(load_sklearn("digits").X.astype(np.float64))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return x[order[:TRAIN]], x[order[TRAIN:]]


def _bits(spec: dict[str, Any], train: Tensor, test: Tensor, seed: int, **how: Any) -> float:
    model = _model(spec, seed, **how)
    return mean_bits(train_flow(model, train, seed=seed, options=OPTIONS).model, test)


def _model(spec: dict[str, Any], seed: int, **how: Any) -> Distribution:
    sizes: dict[str, Any] = {"features": 64, "image_shape": SHAPE, "levels": LEVELS}
    model = build("image_density", flow=spec, seed=seed, **sizes, **how)
    assert isinstance(model, Distribution)
    return model


def count(spec: dict[str, Any]) -> int:
    """Parameters of a flow."""
    return sum(p.numel() for p in _model(spec, 0).parameters())


def one_number(*, variational: bool, seed: int) -> float:
    """How far the bound stays below the entropy of a discretised normal, under a normal density.

    That density has the right mass in each cell at the right parameters, and uniform noise does not
    fill the cells as it does.
    """
    edges = torch.arange(CELLS + 1.0, dtype=torch.float64)
    masses = torch.special.ndtr((edges - LOC) / STD).diff()
    masses = masses / masses.sum()
    truth = -float(torch.special.entr(masses).sum())
    layer: Transform = UniformDequantization(1, levels=CELLS)
    if variational:
        noise = nsf(1, n_layers=1, hidden=[32], context_features=1, seed=seed)
        layer = VariationalDequantization(1, noise, levels=CELLS)
    model = Flow(Normal(1), Compose([layer, Elementwise(Affine(5.0), 1)]))
    source = torch.Generator().manual_seed(seed)
    x = torch.multinomial(masses, DRAWS, replacement=True, generator=source).float().unsqueeze(1)
    options = replace(OPTIONS, max_epochs=300, batch_size=200, learning_rate=2e-2)
    schedules = [CosineDecay(300 * DRAWS // 200)]
    fit(Likelihood(model), {"x": x}, options=options, schedules=schedules, generator=source)
    cells = torch.arange(float(CELLS)).repeat_interleave(DRAWS).unsqueeze(1)
    with torch.no_grad():
        bound = model.train().log_prob(cells, generator=source).view(CELLS, DRAWS).double().mean(1)
    return truth - float((masses * bound).sum())
