"""Deep density models of one digit, beside other digits and images that are distorted."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import Tensor

from anabranch.contracts.objective import Objective
from anabranch.distributions import Distribution, Mixture
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, table_of_means
from anabranch.models import deep_density
from anabranch.networks import MLP
from anabranch.objectives import DeepDensityLoss, Likelihood, MaximumAPosteriori
from anabranch.training import CosineDecay, FitOptions, fit

Array = NDArray[np.float64]
DIGIT, OTHER, LEVELS = 9, 6, 17
TRAINED, BATCH, STEPS, RATE = 120, 60, 600, 3e-3
LAYERS, HIDDEN, KNEE, PRIOR = 2, [128], 2.0, 0.02
WEIGHTS = {"divergence": 1.0, "invertibility": 10.0, "reconstruction": 1.0, "decorrelation": 10.0}
CLASS_STEPS, TEST_SHARE, BINS = 300, 0.3, 10
WAYS = ("paper", "likelihood")


class Scored(NamedTuple):
    """Mean log-densities in nats, and areas under the curve by them.

    Attributes:
        train: of the digits that are trained on.
        test: of others of the same digit.
        other: of another digit.
        turned: of the other digit turned by half a turn, which looks like the first.
        shuffled: of test images with their pixels shuffled.
        auroc_other: of test images against the other digit.
        auroc_shuffled: of test images against shuffled ones.
    """

    train: float
    test: float
    other: float
    turned: float
    shuffled: float
    auroc_other: float
    auroc_shuffled: float


class Classified(NamedTuple):
    """Of a density for each class: accuracy, and the expected error of calibration."""

    accuracy: float
    calibration: float


@experiment("ddm-digits", seeds=3, summary="deep density models of a nine, beside a six and noise")
def ddm_digits(run: Run) -> Outcome:
    """The paper's three terms, and the likelihood of the same decoder as the control."""
    found = {way: per_seed(run.seeds, one_fit, way) for way in WAYS}
    classes = per_seed(run.seeds, one_classifier)
    paper = found["paper"]
    figures = [
        Figure("paper: AUROC of 9 against 6", paper.mean("auroc_other"), 0.8, "higher"),
        Figure("paper: AUROC of 9 against shuffled", paper.mean("auroc_shuffled"), 0.95, "higher"),
        *(
            Figure(f"likelihood: AUROC of 9 against {name}", found["likelihood"].mean(field))
            for name, field in (("6", "auroc_other"), ("shuffled", "auroc_shuffled"))
        ),
        *(
            Figure(f"{way}: {name}, nats", rows.mean(name))
            for way, rows in found.items()
            for name in ("train", "test", "turned", "other", "shuffled")
        ),
        Figure("a density for each class: accuracy", classes.mean("accuracy")),
        Figure("a density for each class: calibration error", classes.mean("calibration")),
        Figure("seconds per fit", paper.seconds),
    ]
    settings = {
        "trained": TRAINED, "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE,
        "layers": LAYERS, "hidden": HIDDEN, "knee": KNEE, "weights": WEIGHTS, "prior": PRIOR,
        "steps of classes": CLASS_STEPS,
    }  # fmt: skip
    return Outcome(figures, settings, table_of_means("trained by", found))


def one_fit(seed: int, way: str) -> Scored:
    """Train on one digit, and judge others."""
    digits: Any = load_digits()
    X, y = digits.data, digits.target
    random = np.random.RandomState(seed)
    ours, other = (random.permutation(X[y == digit]) for digit in (DIGIT, OTHER))
    train, test = ours[:TRAINED], ours[TRAINED:]
    shuffled = np.stack([random.permutation(row) for row in test])
    parts = {
        "train": train, "test": test, "other": other, "turned": other[:, ::-1],
        "shuffled": shuffled,
    }  # fmt: skip
    shares = {name: spread(rows, random) for name, rows in parts.items()}
    flow = trained(seed, way, shares["train"])
    with torch.no_grad():
        scores = {name: flow.log_prob(rows).numpy() for name, rows in shares.items()}
    return Scored(
        **{name: float(values.mean()) for name, values in scores.items()},
        auroc_other=area(scores["test"], scores["other"]),
        auroc_shuffled=area(scores["test"], scores["shuffled"]),
    )


def trained(seed: int, way: str, x: Tensor) -> Distribution:
    """A model of these rows by the paper's loss, or by likelihood and a prior."""
    flow = deep_density(x.shape[1], n_layers=LAYERS, knee=KNEE, seed=seed).double()
    source = torch.Generator().manual_seed(seed)
    if way == "paper":
        encoder = MLP(x.shape[1], x.shape[1], HIDDEN, generator=source).double()
        objective = DeepDensityLoss(flow, encoder, **WEIGHTS)
    else:
        objective = MaximumAPosteriori(Likelihood(flow), n_rows=len(x), scale=PRIOR)
    _fit(objective, {"x": x}, STEPS, source)
    return flow.eval()


def one_classifier(seed: int) -> Classified:
    """A deep density for each of ten classes: p(y|x) by their densities."""
    digits: Any = load_digits()
    X, y = digits.data, digits.target
    random = np.random.RandomState(seed)
    order = random.permutation(len(X))
    split = int((1 - TEST_SHARE) * len(X))
    x, labels = spread(X, random), torch.from_numpy(y)
    train, test = torch.from_numpy(order[:split]), torch.from_numpy(order[split:])
    groups = []
    for k in range(10):
        flow = deep_density(X.shape[1], n_layers=LAYERS, knee=KNEE, seed=seed).double()
        rows = x[train][labels[train] == k]
        objective = MaximumAPosteriori(Likelihood(flow), n_rows=len(rows), scale=PRIOR)
        _fit(objective, {"x": rows}, CLASS_STEPS, torch.Generator().manual_seed(seed))
        groups.append(flow.eval())
    mixture = Mixture(groups, weights=torch.bincount(labels[train], minlength=10).double())
    with torch.no_grad():
        posterior = mixture.log_posterior(x[test]).exp().mT
    right = (posterior.argmax(1) == labels[test]).double()
    return Classified(float(right.mean()), calibration_error(posterior.amax(1), right))


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """How far shares of right answers are from what was claimed, in the mean over bins."""
    place = (confidence * BINS).long().clamp_max(BINS - 1)
    gaps = torch.zeros(BINS, dtype=confidence.dtype)
    gaps.scatter_add_(0, place, confidence - right)
    return float(gaps.abs().sum() / len(right))


def _fit(
    objective: Objective, data: dict[str, Tensor], steps: int, source: torch.Generator
) -> None:
    n = len(data["x"])
    options = FitOptions(
        max_epochs=max(1, steps * BATCH // n), batch_size=min(BATCH, n), learning_rate=RATE,
        patience=None, average=0.95, min_evaluation_steps=steps, progress=False,
    )  # fmt: skip
    fit(objective, data, options=options, schedules=[CosineDecay(steps)], generator=source)


def spread(X: NDArray[Any], random: np.random.RandomState) -> Tensor:
    """Levels as shares of white, with noise within each level."""
    return torch.from_numpy((X + random.uniform(size=X.shape)) / LEVELS)


def area(inside: Array, outside: Array) -> float:
    """The area under the curve of telling rows by their density."""
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(truth, np.concatenate((inside, outside))))
