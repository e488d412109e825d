"""Autoregressive image models on the Ising model, whose entropy is known."""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from anabranch.distributions import PixelModel
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed
from anabranch.experiments.pixel_training import make_model, train
from anabranch.problems import Ising
from anabranch.training import FitOptions

SHAPE = (1, 4, 4)
COUPLINGS = (0.5, -0.5)
RECIPES: dict[str, dict[str, Any]] = {
    "PixelCNN": {"name": "pixelcnn", "channels": 32, "n_blocks": 3},
    "Gated PixelCNN": {"name": "gated_pixelcnn", "channels": 16, "n_layers": 4},
    "Row LSTM": {"name": "row_lstm", "channels": 32, "n_layers": 2},
    "Diagonal BiLSTM": {"name": "diagonal_bilstm", "channels": 32, "n_layers": 2},
}
CONDITIONAL = RECIPES["Gated PixelCNN"]
# new draws in each epoch, so that nothing can be learned by heart
DRAWS, VALIDATION = 40_000, 2000
OPTIONS = FitOptions(
    max_epochs=4, batch_size=250, learning_rate=4e-3, average=0.99, patience=None, progress=False
)


class Excess(NamedTuple):
    """Nats above the entropy, by recipe, and processor seconds."""

    seed: int
    recipe: str
    excess: float
    cpu_s: float


class Classes(NamedTuple):
    """Of two classes: nats above the entropy of each, and what the class is worth."""

    seed: int
    first_excess: float
    second_excess: float
    gain: float
    information: float


@experiment(
    "pixel-ising", seeds=1, summary="PixelCNN, Row LSTM and Diagonal BiLSTM on the Ising model"
)
def pixel_ising(run: Run) -> Outcome:
    """Exact cross-entropies over all 65 536 states of a square of 4 x 4 spins."""
    entropy = Ising(4, COUPLINGS[0]).entropy().value
    found = {name: per_seed(run.seeds, excess, name) for name in RECIPES}
    figures = [
        Figure(f"{name}, nats", entropy + rows.worst("excess", "lower"), 7.0382 + 0.03, "lower")
        for name, rows in found.items()
    ]
    classes = per_seed(run.seeds, told_apart)
    figures += _of_classes(classes)
    table = "\n\n".join(rows.table() for rows in (*found.values(), classes))
    settings = {"recipes": RECIPES, "draws": DRAWS, "fit": OPTIONS.trajectory()}
    return Outcome(figures, settings, table)


def _of_classes(rows: Rows[Classes]) -> list[Figure]:
    off = np.abs(rows.gain("gain", over="information"))
    return [
        Figure(
            f"given J = {coupling}, nats above the entropy",
            rows.worst(field, "lower"),
            0.03,
            "lower",
        )
        for coupling, field in zip(COUPLINGS, ("first_excess", "second_excess"), strict=True)
    ] + [
        Figure("what the class is worth, nats", rows.mean("gain")),
        Figure("the same, off the mutual information", float(off.max()), 0.03, "lower"),
    ]


def excess(seed: int, recipe: str) -> Excess:
    """Train one recipe on draws, and score it on all states."""
    problem = Ising(4, COUPLINGS[0])
    model = make_model(RECIPES[recipe], SHAPE, seed)
    data = Draws([problem], seed)
    found = train(model, data.train, data.validation, OPTIONS, on_epoch=data.renew, seed=seed)
    nll = cross_entropy(found.model, problem)
    return Excess(seed, recipe, nll - problem.entropy().value, found.cpu_s)


def told_apart(seed: int) -> Classes:
    """Spins that like and that dislike their neighbours, with and without being told which."""
    problems = [Ising(4, coupling) for coupling in COUPLINGS]
    nll = {}
    for told in (True, False):
        recipe = {**CONDITIONAL, "context_features": 2 * told}
        model = make_model(recipe, SHAPE, seed)
        data = Draws(problems, seed, told=told)
        found = train(model, data.train, data.validation, OPTIONS, on_epoch=data.renew, seed=seed)
        contexts = torch.eye(2) if told else [None, None]
        nll[told] = [
            cross_entropy(found.model, problem, context)
            for problem, context in zip(problems, contexts, strict=True)
        ]
    entropies = [problem.entropy().value for problem in problems]
    first, second = (a - b for a, b in zip(nll[True], entropies, strict=True))
    gain = float(np.mean(nll[False]) - np.mean(nll[True]))
    return Classes(seed, first, second, gain, mutual_information(problems))


def cross_entropy(model: PixelModel, problem: Ising, context: Tensor | None = None) -> float:
    """Mean negative log-probability under the problem, exactly, in nats."""
    states = torch.as_tensor(problem.states, dtype=torch.float32).reshape(-1, *SHAPE)
    with torch.no_grad():
        log_prob = model.log_prob(states, context).double().numpy()
    return -float(np.exp(problem.state_log_probs) @ log_prob)


def mutual_information(problems: list[Ising]) -> float:
    """Between a state and which of the problems, all equally likely, it is from, in nats."""
    logs = np.stack([problem.state_log_probs for problem in problems])
    mixed = logsumexp(logs, axis=0) - np.log(len(problems))
    return float((np.exp(logs) * (logs - mixed)).sum() / len(problems))


class Draws:
    """Spins of one or several problems in equal shares, drawn anew before each epoch."""

    def __init__(self, problems: list[Ising], seed: int, *, told: bool = False) -> None:
        self.problems, self.seed = problems, seed
        self.validation = self._drawn(VALIDATION, [seed, 0])
        self.train = self._drawn(DRAWS, [seed, 1])
        if told:
            for part in (self.validation, self.train):
                codes = torch.eye(len(problems))
                part["context"] = codes.repeat_interleave(len(part["x"]) // len(problems), 0)

    def renew(self, epoch: int) -> None:
        """New draws, from a source of their own."""
        self.train["x"].copy_(self._drawn(DRAWS, [self.seed, 2 + epoch])["x"])

    def _drawn(self, n: int, source: list[int]) -> dict[str, Tensor]:
        random = np.random.RandomState(source)
        share = n // len(self.problems)
        x = np.concatenate([problem.sample(share, random) for problem in self.problems])
        return {"x": torch.as_tensor(x, dtype=torch.float32).reshape(-1, *SHAPE)}
