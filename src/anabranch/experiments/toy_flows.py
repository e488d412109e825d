"""What the experiments with small flows share: training, digits, and exact comparisons."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.data import load_sklearn
from anabranch.distributions import Distribution
from anabranch.objectives import Likelihood
from anabranch.problems import Problem
from anabranch.training import CosineDecay, FitOptions, fit

Array = NDArray[np.float64]
Rows = dict[str, Tensor]

DIGIT_LEVELS = 17
TEST_ROWS = 100_000


class Digits(NamedTuple):
    """Rows for training, validation and test, standardised; ``term`` takes densities to [0, 1]^D.

    Attributes:
        train, validation, test: as integers, with labels as one-hot contexts.
        loc, scale: of a pixel between 0 and 1.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    loc: Tensor
    scale: Tensor

    def draw(self, part: tuple[Tensor, Tensor], generator: torch.Generator) -> Rows:
        """Spread the integers over their cells, uniformly; and standardise them."""
        pixels, context = part
        noise = torch.rand(pixels.shape, generator=generator)
        x = ((pixels + noise) / DIGIT_LEVELS - self.loc) / self.scale
        term = -self.scale.log().sum().expand(len(x))
        return {"x": x, "context": context, "term": term}


def digits(seed: int, train: int = 1200, validation: int = 250, *, alike: bool = False) -> Digits:
    """The 1797 digits of 8 x 8 pixels that scikit-learn holds, in a random order.

    Pixels are divided by their own deviations, or, if alike, all by the same.
    """
    table = load_sklearn("digits")
    order = torch.randperm(len(table.X), generator=torch.Generator().manual_seed(seed))
    pixels = torch.from_numpy(np.asarray(table.X, dtype=np.float32))[order]
    labels = torch.nn.functional.one_hot(
        torch.as_tensor(np.asarray(table.labels))[order].long(), 10
    )
    sizes = [train, validation, len(pixels) - train - validation]
    parts = list(zip(pixels.split(sizes), labels.float().split(sizes), strict=True))
    mean = (parts[0][0].mean(0) + 0.5) / DIGIT_LEVELS
    variance = (parts[0][0].var(0) + 1 / 12) / DIGIT_LEVELS**2
    if alike:
        variance = variance.mean().expand(variance.shape)
    return Digits(parts[0], parts[1], parts[2], mean, variance.sqrt())


def learn(
    flow: Distribution,
    train: Rows,
    validation: Rows | None,
    seed: int,
    options: FitOptions,
    renew: Callable[[int], Tensor | None] | None = None,
) -> None:
    """Fit by maximum likelihood, with a learning rate that falls to zero and averaged weights."""
    options = replace(options, average=0.98, progress=False)
    steps = options.max_epochs * (len(train["x"]) // options.batch_size)
    fit(
        Likelihood(flow),
        train,
        validation,
        options=options,
        schedules=[CosineDecay(steps)],
        generator=torch.Generator().manual_seed(seed),
        on_epoch=renew,
    )


def learn_digits(flow: Distribution, data: Digits, seed: int, *, epochs: int, rate: float) -> float:
    """Train on digits with new noise in each epoch; held-out nats, over ten draws of noise."""
    generator = torch.Generator().manual_seed(seed)
    train = data.draw(data.train, generator)

    def renew(epoch: int) -> None:
        source = torch.Generator().manual_seed(1000 * seed + epoch)
        train["x"].copy_(data.draw(data.train, source)["x"])

    validation = data.draw(data.validation, generator)
    options = FitOptions(max_epochs=epochs, batch_size=100, learning_rate=rate, patience=30)
    learn(flow, train, validation, seed, options, renew)
    return held_out(flow, data, generator)


@torch.no_grad()
def held_out(flow: Distribution, data: Digits, generator: torch.Generator) -> float:
    """Negative mean log-density of the test digits on [0, 1]^64, over ten draws of noise."""
    total = 0.0
    for _ in range(10):
        rows = data.draw(data.test, generator)
        log_prob = flow.log_prob(rows["x"], rows["context"]) + rows["term"]
        total -= log_prob.mean().item() / 10
    return total


@torch.no_grad()
def exact_nll(flow: Distribution, problem: Problem, scale: float, seed: int) -> float:
    """Negative mean log-density, in nats: the known entropy and an estimate of the divergence.

    The flow is of x / scale. The divergence varies far less from row to row than the log-density.
    """
    X, _ = problem.sample(TEST_ROWS, random_state=10_000 + seed)
    log_prob = flow.log_prob(torch.from_numpy(X / scale).float()).double().numpy()
    log_prob -= X.shape[1] * np.log(scale)
    return float(problem.entropy().value + (problem.log_prob(X) - log_prob).mean())
