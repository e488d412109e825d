"""Inverse autoregressive flows fitted to the four energies of Rezende and Mohamed."""

from typing import Any, NamedTuple

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, planar_vi
from anabranch.experiments.seeded import table_of_means
from anabranch.models import iaf

# A layer of two features bends one of them by a function of the other, that of the wave among
# them: one hidden layer is too few, and so is a scale that the layers can only shrink.
IAF: dict[str, Any] = {"hidden": [64, 64], "learn_base": True}
FEW, MANY = 4, 8
# Of the log-scale of a layer: few layers have to stretch more each.
FEW_BOUND, MANY_BOUND = 3.0, 2.0
STEPS, STARTS, RATE = 4000, 4, 5e-3


class Found(NamedTuple):
    """KL to each energy, in nats, and the least effective sample size, a share."""

    U1: float
    U2: float
    U3: float
    U4: float
    least_ess: float


@experiment(
    "iaf-energies", seeds=1, summary="inverse autoregressive flows fitted to unnormalised densities"
)
def iaf_energies(run: Run) -> Outcome:
    """KL of four and of eight layers to U1 to U4, the best of some starts by their free energy."""
    bounds = {FEW: FEW_BOUND, MANY: MANY_BOUND}
    found = {n: per_seed(run.seeds, one_depth, n, bound) for n, bound in bounds.items()}
    figures = [
        Figure(f"KL to {name}, {MANY} layers, nats", found[MANY].mean(name), limit, "lower")
        for name, limit in planar_vi.TARGETS.items()
    ]
    figures += [
        Figure(f"KL to {name}, {FEW} layers, nats", found[FEW].mean(name), 0.1, "lower")
        for name in planar_vi.TARGETS
    ]
    figures.append(Figure("seconds per seed", found[FEW].seconds + found[MANY].seconds))
    settings = {
        "starts": STARTS, "steps": STEPS, "n_samples": planar_vi.SAMPLES, "learning_rate": RATE,
        "annealing": 0.5, "draws": planar_vi.DRAWS, "iaf": IAF,
        "bounds": [FEW_BOUND, MANY_BOUND],
    }  # fmt: skip
    named = {f"{n}": rows for n, rows in found.items()}
    return Outcome(figures, settings, table_of_means("layers", named))


def one_depth(seed: int, n_layers: int, bound: float) -> Found:
    """Flows of one depth, trained at once, and judged by fresh draws."""
    parts = planar_vi.approximate(
        lambda shape: iaf(2, n_layers=n_layers, bound=bound, **IAF, batch_shape=shape, seed=seed),
        seed,
        starts=STARTS,
        steps=STEPS,
        rate=RATE,
    )
    u1, u2, u3, u4 = (part.found.kl for part in parts)
    return Found(u1, u2, u3, u4, least_ess=min(part.found.ess for part in parts))
