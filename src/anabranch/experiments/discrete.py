"""Discrete flows on tables whose entropy is known."""

from math import erf, inf, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.models import discrete_flow

Array = NDArray[np.float64]
XOR = np.array([[0.63, 0.07], [0.03, 0.27]])
XOR_STEPS = 500
RING_STEPS, RING_ROWS = 600, 256


class Xor(NamedTuple):
    """Nats of the flow after one start."""

    seed: int
    flow: float


class Ring(NamedTuple):
    """Nats of a bipartite flow over independent columns, and of an autoregressive base."""

    seed: int
    bipartite: float
    autoregressive: float


@experiment("discrete-xor", seeds=8, summary="a discrete flow learns an exclusive or")
def discrete_xor(run: Run) -> Outcome:
    """One bipartite flow over independent columns, from several starts; local optima are known."""
    rows = per_seed(run.seeds, xor)
    nats = np.array([row.flow for row in rows])
    gap = float(nats.min() - entropy(XOR))
    reached = float((np.abs(nats - entropy(XOR)) <= 0.002).sum())
    figures = [
        Figure("best of the starts, nats above the entropy", gap, 0.002, "lower"),
        Figure("starts that reach the entropy", reached, 3.0, "higher"),
        Figure("entropy, nats", entropy(XOR)),
        Figure("independent columns, nats", apart(XOR)),
    ]
    return Outcome(figures, {"steps": XOR_STEPS}, rows.table())


@experiment("discrete-ring", seeds=4, summary="discrete flows on a ring of 91 x 91 levels")
def discrete_ring(run: Run) -> Outcome:
    """A bipartite flow over independent columns, and an autoregressive base."""
    rows, table = per_seed(run.seeds, ring), ring_table()
    best = float(min(row.bipartite for row in rows))
    figures = [
        Figure("bipartite flow, best of the starts, nats", best, 6.85, "lower"),
        Figure("autoregressive base, nats", rows.mean("autoregressive"), 6.40, "lower"),
        Figure("entropy, nats", entropy(table)),
        Figure("independent columns, nats", apart(table)),
    ]
    return Outcome(figures, {"steps": RING_STEPS, "rows": RING_ROWS}, rows.table())


def xor(seed: int) -> Xor:
    """Full batches: each pair with its probability."""
    flow = discrete_flow(2, levels=2, seed=seed)
    x, p = points(XOR), torch.as_tensor(XOR.ravel(), dtype=torch.float32)
    optimizer = torch.optim.Adam(flow.parameters(), lr=0.05)
    for _ in range(XOR_STEPS):
        loss = -(p * flow.log_prob(x)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return Xor(seed, float(-(p * flow.log_prob(x)).sum()))


def ring(seed: int) -> Ring:
    """Samples for training, the whole table for the score."""
    bipartite = discrete_flow(2, levels=91, scale=False, seed=seed)
    base = discrete_flow(2, levels=91, base="autoregressive", scale=False, seed=seed)
    return Ring(seed, learned(bipartite, seed, 0.1), learned(base.base, seed, 0.1))


def learned(model: torch.nn.Module, seed: int, rate: float) -> float:
    """Train a model of the ring; its exact cross-entropy, in nats."""
    table, source = ring_table(), torch.Generator().manual_seed(seed)
    p, x = torch.as_tensor(table.ravel(), dtype=torch.float32), points(table)
    one_hot = len(model.event_shape) == 2  # pyright: ignore - a flow, or the base alone

    def log_prob(rows: torch.Tensor) -> torch.Tensor:
        part = x[rows]
        given = torch.nn.functional.one_hot(part.long(), 91).float() if one_hot else part
        return model.log_prob(given)  # pyright: ignore - likewise

    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, RING_STEPS)
    for _ in range(RING_STEPS):
        loss = -log_prob(torch.multinomial(p, RING_ROWS, True, generator=source)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falls.step()
    likely = (p > 1e-9).nonzero()[:, 0]
    with torch.no_grad():
        parts = [-(p[rows] * log_prob(rows)).sum() for rows in likely.split(256)]
    return float(torch.stack(parts).sum())


def ring_table() -> Array:
    """Eight Gaussians of deviation 0.1 at radius 2, in steps of a twentieth: 91 x 91 levels."""
    edges = (np.arange(92) - 45.5) / 20
    edges[[0, -1]] = -inf, inf  # what is farther out counts to the last levels
    angles = np.arange(8) * np.pi / 4
    table = np.zeros((91, 91))
    for x, y in zip(2 * np.cos(angles), 2 * np.sin(angles), strict=True):
        columns = [
            np.diff([0.5 * (1 + erf((e - c) / (0.1 * sqrt(2)))) for e in edges]) for c in (x, y)
        ]
        table += np.outer(*columns) / 8
    return table


def points(table: Array) -> torch.Tensor:
    """All pairs of a table, in its order."""
    return torch.cartesian_prod(*(torch.arange(n).float() for n in table.shape))


def entropy(table: Array) -> float:
    """Of a table, in nats."""
    p = table[table > 0]
    return float(-(p * np.log(p)).sum())


def apart(table: Array) -> float:
    """What independent columns reach at best, in nats."""
    return sum(entropy(table.sum(axis)) for axis in (0, 1))
