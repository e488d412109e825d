"""Digits by a conditional invertible network: told the class, and told one half."""

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from anabranch.data import load_sklearn
from anabranch.estimators import FlowDensity
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.pictures import image_sheet

Array = NDArray[np.float64]
LEVELS, SIDE, CLASSES, SHOWN = 17, 8, 10, 8
TESTED = 400
CINN: dict[str, Any] = {"name": "cinn", "n_blocks": 8, "hidden": [192]}
FIT: dict[str, Any] = {"levels": LEVELS, "hedge": False, "learning_rate": 2e-3, "batch_size": 128}
# the stated weight decay of the published network, and its narrower draws
OPTIONS: dict[str, Any] = {"weight_decay": 1e-3, "patience": 15}
TEMPERATURE = 0.8
JUDGE: dict[str, Any] = {"gamma": 0.001}
EPOCHS = {"cpu": 150, "full": 500}


class Told(NamedTuple):
    """What a judge, which has seen other digits, says of draws and of digits in another style.

    Attributes:
        judge: accuracy of the judge on digits that none has seen.
        drawn: share of draws that it takes for the class that they were told.
        changed: share of digits that it takes for the class whose style they were given.
        kept: largest change of a latent by that.
        alone, half: nats of right halves, alone and told the left ones.
    """

    seed: int
    judge: float
    drawn: float
    changed: float
    kept: float
    alone: float
    half: float
    s: float
    shown: Any


@experiment("cinn-digits", seeds=3, summary="digits told the class or one half; style transfer")
def cinn_digits(run: Run) -> Outcome:
    """Draws of a class, digits carried from one class to another, and completions."""
    rows = per_seed(run.seeds, told, EPOCHS[run.budget])
    gain = 1 - rows.mean("half") / rows.mean("alone")
    figures = [
        Figure("draws taken for their class", rows.mean("drawn"), 0.9, "higher"),
        Figure("style transfer: class changed", rows.mean("changed"), 0.85, "higher"),
        Figure("style transfer: change of latents", rows.worst("kept", "lower"), 1e-4, "lower"),
        Figure("nats saved by the other half, share", gain, 0.1, "higher"),
        Figure("accuracy of the judge", rows.mean("judge")),
        Figure("seconds per seed", rows.mean("s")),
    ]
    settings = {"cinn": CINN, "fit": FIT, "options": OPTIONS, "epochs": EPOCHS[run.budget]}
    settings["temperature"] = TEMPERATURE
    return Outcome(figures, settings, rows.table(kept=".1e"), {"styles.png": rows[0].shown})


def told(seed: int, epochs: int) -> Told:
    """Fit flows to digits, and let a judge see what they make of others."""
    started = time.perf_counter()
    X, y, other, labels = _digits(seed)
    codes = np.eye(CLASSES)
    judge = SVC(**JUDGE).fit(X, y)
    flow = _fitted(X, codes[y], seed, epochs)
    random = np.random.RandomState(seed)
    wanted = np.repeat(np.arange(CLASSES), 50)
    z = TEMPERATURE * random.standard_normal((len(wanted), SIDE * SIDE))
    drawn = flow.inverse_transform(z, context=codes[wanted])
    styled, target, kept = carried(flow, other, labels, random)
    (left, right), (seen, hidden) = (_halves(part) for part in (X, other))
    varied = np.ptp(left, axis=0) > 0
    left, seen = (part[:, varied] / (LEVELS - 1) for part in (left, seen))
    alone = -_fitted(right, None, seed, epochs).score(hidden)
    half = -_fitted(right, left, seed, epochs).score(hidden, context=seen)
    return Told(
        seed,
        float(judge.score(other, labels)),
        float((judge.predict(drawn) == wanted).mean()),
        float((judge.predict(styled) == target).mean()),
        kept,
        alone,
        half,
        time.perf_counter() - started,
        _sheet(flow, other[:SHOWN], labels[:SHOWN]),
    )


def carried(
    flow: FlowDensity, X: Array, y: NDArray[np.int64], random: np.random.RandomState
) -> tuple[Array, NDArray[np.int64], float]:
    """Digits with the latents of others and another class; that class; the change of latents.

    Latents are compared before pixels are rounded, which no map could undo.
    """
    codes = np.eye(CLASSES)
    target = (y + random.randint(1, CLASSES, len(y))) % CLASSES
    z = flow.transform(X, context=codes[y])
    styled = flow.inverse_transform(z, context=codes[target])
    return styled, target, round_trip(flow, z, codes[target])


def round_trip(flow: FlowDensity, z: Array, context: Array) -> float:
    """How far a latent is from itself, there and back through the flow, without rounding."""
    import torch

    assert flow.conditions_ is not None
    given = flow.conditions_.encode(context, len(z))
    transform = flow.model_.transform
    latents = torch.as_tensor(z, dtype=torch.float32)
    with torch.no_grad():
        again, _ = transform.encode(transform.decode(latents, given)[0], given)
    return float((again - latents).abs().max())


def _fitted(X: Array, context: Array | None, seed: int, epochs: int) -> FlowDensity:
    flow = FlowDensity(CINN, **FIT, max_epochs=epochs, fit_options=OPTIONS, random_state=seed)
    return flow.fit(X, context=context)


def _digits(seed: int) -> tuple[Array, NDArray[np.int64], Array, NDArray[np.int64]]:
    """The 8 x 8 digits of scikit-learn in a random order: for fits, and for tests."""
    table = load_sklearn("digits")
    assert table.labels is not None
    order = np.random.RandomState(seed).permutation(len(table.X))
    X, y = np.asarray(table.X, dtype=np.float64)[order], np.asarray(table.labels)[order]
    return X[TESTED:], y[TESTED:], X[:TESTED], y[:TESTED]


def _halves(X: Array) -> tuple[Array, Array]:
    """The left and the right halves of digits, as rows."""
    whole = X.reshape(-1, SIDE, SIDE)
    left, right = (part.reshape(len(X), -1) for part in np.split(whole, 2, axis=2))
    return left, right


def _sheet(flow: FlowDensity, X: Array, y: NDArray[np.int64]) -> bytes:
    """Digits, and below them each of ten classes in their style."""
    codes = np.eye(CLASSES)
    z = flow.transform(X, context=codes[y])
    rows = [flow.inverse_transform(z, context=np.tile(code, (len(z), 1))) for code in codes]
    return image_sheet([part.reshape(-1, 1, SIDE, SIDE) for part in (X, *rows)], LEVELS)
