"""What the experiments on inverse problems share: invertible networks trained both ways."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.models import inn
from anabranch.objectives import Bidirectional
from anabranch.training import CosineDecay, FitOptions, ScheduledBuffer, fit
from anabranch.training.step_functions import RampUp

Array = NDArray[np.float64]
BATCH = 512


@dataclass(frozen=True)
class InvertiblePosterior:
    """An invertible network behind standardised columns, which draws as `NeuralPosterior` does.

    Attributes:
        flow: of standardised parameters, given standardised observations.
        theta: mean and standard deviation of the parameters, (2, D).
        x: of the observations, (2, C).
    """

    flow: Flow
    theta: Array
    x: Array

    def sample(self, n: int, x: Array, seed: int = 0) -> Array:
        """Draws for each observation, (n, m, D) for (m, C)."""
        given = self.observed(x)
        z = self.flow.sample(n, given, torch.Generator().manual_seed(seed))
        return z.double().numpy() * self.theta[1] + self.theta[0]

    def observed(self, x: Array) -> Tensor:
        """Observations as the network sees them."""
        return torch.as_tensor((x - self.x[0]) / self.x[1], dtype=torch.float32)


def fit_both_ways(
    theta: Array,
    x: Array,
    network: dict[str, Any],
    weights: dict[str, Any],
    options: FitOptions,
    seed: int,
) -> InvertiblePosterior:
    """Train an `inn` by `Bidirectional`; the weight of what comes back rises in the first half."""
    moments = [np.stack([part.mean(0), np.maximum(part.std(0), 1e-6)]) for part in (theta, x)]
    z, c = (
        torch.as_tensor((part - loc) / scale, dtype=torch.float32)
        for part, (loc, scale) in zip((theta, x), moments, strict=True)
    )
    flow = inn(theta.shape[1], context_features=x.shape[1], **network, seed=seed)
    objective = Bidirectional(flow, **weights)
    steps = options.max_epochs * (len(theta) // options.batch_size)
    ramp = ScheduledBuffer("ramp", objective.ramp, RampUp(max(steps // 2, 1)))
    fit(
        objective,
        {"x": z, "context": c},
        {"x": z[: 2 * BATCH], "context": c[: 2 * BATCH]},
        options=options,
        schedules=[CosineDecay(steps), ramp],
        generator=torch.Generator().manual_seed(seed),
    )
    return InvertiblePosterior(flow.eval(), moments[0], moments[1])
