"""Masked autoregressive flows: the wrong order, labels as context, and the inverse."""

from typing import Any, NamedTuple, cast

import torch

from anabranch.distributions import Flow, Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.toy_flows import digits, exact_nll, learn, learn_digits
from anabranch.models import iaf, maf
from anabranch.problems import Banana
from anabranch.training import FitOptions
from anabranch.transforms import Affine, Autoregressive, Compose

# both features have about this standard deviation
ROWS, SCALE, EPOCHS, BATCH, RATE = 20_000, 2.0, 25, 500, 1e-2
HIDDEN, BOUND = (64,), 2.0
DIGIT_HIDDEN, DIGIT_EPOCHS, DIGIT_RATE = (128,), 30, 3e-3


class Nlls(NamedTuple):
    """Held-out NLL in nats, and the largest error of the inverse."""

    seed: int
    one_layer: float
    five_layers: float
    five_alike: float
    digits: float
    digits_with_labels: float
    inverse: float


@experiment("maf-order", seeds=3, summary="MAF on the banana in the wrong order; digits by label")
def maf_order(run: Run) -> Outcome:
    """The paper's first figure, with x1 before x2; then context, and the identity with IAF."""
    rows = per_seed(run.seeds, nlls)
    truth = Banana().entropy().value
    one, five = rows.worst("one_layer"), rows.best("five_layers")
    gain = rows.gain("digits", over="digits_with_labels").min()
    inverse = rows.best("inverse")
    figures = [
        Figure("one Gaussian layer, x1 first, NLL (least)", one, truth + 0.15, "higher"),
        Figure("five layers, x1 first, NLL (most)", five, truth + 0.05, "lower"),
        Figure("five layers, all with x1 first, NLL (least)", rows.worst("five_alike")),
        Figure("digits: gain by labels, nats (least)", gain, 0.0, "higher"),
        Figure("digits without labels, NLL in [0, 1]^64", rows.mean("digits")),
        Figure("digits with labels, NLL in [0, 1]^64", rows.mean("digits_with_labels")),
        Figure("largest error, MAF undone by IAF of its weights", inverse, 1e-9, "lower"),
        Figure("seconds per seed", rows.seconds),
    ]
    settings = {
        "rows": ROWS, "hidden": HIDDEN, "bound": BOUND, "epochs": EPOCHS, "batch_size": BATCH,
        "learning_rate": RATE, "digits, hidden": DIGIT_HIDDEN, "digits, epochs": DIGIT_EPOCHS,
    }  # fmt: skip
    return Outcome(figures, settings, rows.table(inverse=".1e"))


def nlls(seed: int) -> Nlls:
    """Train all flows on one draw of the banana and on one order of the digits."""
    one, five = (maf(2, n_layers=n, hidden=HIDDEN, bound=BOUND, seed=seed) for n in (1, 5))
    bananas = [banana_nll(flow, seed) for flow in (one, five, alike(seed))]
    return Nlls(seed, *bananas, *digit_nlls(seed), inverse=inverse_error(five, seed))


def alike(seed: int) -> Flow:
    """Five layers in one order: x1 goes through affine maps only, and stays as skew as it is."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        Autoregressive(Affine(BOUND), 2, hidden=HIDDEN, activation="silu", generator=generator)
        for _ in range(5)
    ]
    return Flow(Normal(2), Compose(layers))


def banana_nll(flow: Flow, seed: int) -> float:
    """Train on the banana and compare with the truth, in nats."""
    problem = Banana()
    X, _ = problem.sample(ROWS, random_state=1000 + seed)
    train = {"x": torch.from_numpy(X / SCALE).float()}
    learn(flow, train, None, seed, FitOptions(EPOCHS, BATCH, RATE, patience=None))
    return exact_nll(flow, problem, SCALE, seed)


def digit_nlls(seed: int) -> list[float]:
    """Held-out nats of digits without their labels and with them."""
    data = digits(seed)
    flows = (
        maf(64, n_layers=5, hidden=DIGIT_HIDDEN, context_features=n, seed=seed) for n in (0, 10)
    )
    return [learn_digits(flow, data, seed, epochs=DIGIT_EPOCHS, rate=DIGIT_RATE) for flow in flows]


@torch.no_grad()
def inverse_error(flow: Flow, seed: int) -> float:
    """Largest error of x after the flow, and the inverse flow of the same weights, in float64."""
    inverse = iaf(2, n_layers=5, hidden=HIDDEN, bound=BOUND, seed=seed)
    forth, back = (
        cast(list[Any], cast(Compose, part.double().transform).transforms)
        for part in (flow, inverse)
    )
    for one, other in zip(forth, back, strict=True):
        other.transform.load_state_dict(one.state_dict())
    x = torch.from_numpy(Banana().sample(1000, random_state=seed)[0] / SCALE)
    z, term = flow.transform.encode(x)
    y, back_term = z, torch.zeros_like(term)
    for layer in reversed(back):
        y, part = layer.encode(y)
        back_term = back_term + part
    return max((y - x).abs().max().item(), (term + back_term).abs().max().item())
