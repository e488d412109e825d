"""Block autoregressive flows on toy problems in the plane."""

import time
from typing import NamedTuple

import torch

from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed, planar_vi, text_table
from anabranch.models import bnaf, planar
from anabranch.objectives import Likelihood
from anabranch.problems import Pinwheel
from anabranch.training import CosineDecay, FitOptions, fit

HIDDEN = (50, 50)
STEPS, PLANAR_STEPS, STARTS, RATE = 4000, 4000, 1, 1e-2
ROWS, HELD_OUT, EPOCHS, BATCH, PINWHEEL_RATE = 20_000, 20_000, 120, 500, 2e-2
WINGS = Pinwheel(rate=0.25)
HEADER = ["problem", "BNAF", "planar 8", "truth"]


class Density(NamedTuple):
    """Held-out negative mean log-densities, in nats."""

    flow: float
    truth: float


@experiment("bnaf-toys", seeds=1, summary="block autoregressive flow: energies and the pinwheel")
def bnaf_toys(run: Run) -> Outcome:
    """KL to U1 to U4 of one flow of 50 x 50 units a feature, and its density of the pinwheel."""
    started = time.perf_counter()
    deep = [energies_by_bnaf(seed) for seed in run.seeds]
    flat = [energies_by_planar(seed) for seed in run.seeds]
    densities = per_seed(run.seeds, pinwheel_density)
    seconds = (time.perf_counter() - started) / len(run.seeds)
    names = [energy.name for energy in planar_vi.ENERGIES]
    ours, theirs = (
        [planar_vi.mean_kl(parts, k) for k in range(len(names))] for parts in (deep, flat)
    )
    flow, truth = densities.mean("flow"), densities.mean("truth")
    figures = [
        *(Figure(f"KL to {n}, nats", v, 0.02, "lower") for n, v in zip(names, ours, strict=True)),
        Figure("pinwheel: NLL above the truth, nats", flow - truth, 0.08, "lower"),
        *(
            Figure(f"KL to {n}, planar 8 layers, nats", v)
            for n, v in zip(names, theirs, strict=True)
        ),
        Figure("seconds per seed", seconds),
    ]
    rows = [[n, a, b, 0.0] for n, a, b in zip(names, ours, theirs, strict=True)]
    rows.append(["pinwheel, NLL", flow, "", truth])
    settings = {
        "hidden": HIDDEN, "steps": STEPS, "planar steps": PLANAR_STEPS, "starts": STARTS,
        "learning_rate": RATE, "rows": ROWS, "epochs": EPOCHS, "batch_size": BATCH,
        "learning_rate of the pinwheel": PINWHEEL_RATE, "average": 0.99,
    }  # fmt: skip
    return Outcome(figures, settings, text_table(HEADER, rows))


def energies_by_bnaf(seed: int) -> list[planar_vi.Approximation]:
    """One flow for each energy, whose network maps noise to points."""
    return planar_vi.approximate(
        lambda shape: bnaf(2, hidden=HIDDEN, inverse=True, batch_shape=shape, seed=seed),
        seed,
        starts=STARTS,
        steps=STEPS,
        rate=RATE,
    )


def energies_by_planar(seed: int) -> list[planar_vi.Approximation]:
    """Eight planar layers for each energy."""
    return planar_vi.approximate(
        lambda shape: planar(2, inverse=True, learn_base=True, batch_shape=shape, seed=seed),
        seed,
        steps=PLANAR_STEPS,
    )


def pinwheel_density(seed: int) -> Density:
    """Maximum likelihood on the pinwheel, and the true density on the same held-out rows."""
    draws = [
        torch.from_numpy(WINGS.sample(n, random_state=1000 * (i + 1) + seed)[0]).float()
        for i, n in enumerate((ROWS, ROWS // 5, HELD_OUT))
    ]
    scale = draws[0].std()
    train, validation, test = ({"x": part / scale} for part in draws)
    flow = bnaf(2, hidden=HIDDEN, seed=seed)
    options = FitOptions(
        max_epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=PINWHEEL_RATE,
        patience=None,
        average=0.99,
    )
    fit(
        Likelihood(flow),
        train,
        validation,
        options=options,
        schedules=[CosineDecay(EPOCHS * (ROWS // BATCH))],
        generator=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        nll = -flow.log_prob(test["x"]).mean() + 2 * scale.log()
    return Density(nll.item(), -float(WINGS.log_prob(draws[2].double().numpy()).mean()))
