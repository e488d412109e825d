"""What `training.fit` adds to a step: the loop against the bare step, on the pinwheel workload.

Both train the default mixture of five flows on 2304 of 2560 rows in batches of 512: the bare step
is forward, backward and AdamW; the loop also shuffles, clips, averages, watches for numbers that
are not finite, and scores 256 validation rows every 20 steps. They take turns in one process.
"""

import copy
import time
from statistics import median

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import flow_mixture
from anabranch.objectives import MixtureObjective
from anabranch.problems import Pinwheel
from anabranch.training import FitOptions, fit
from benchmarks.recording import record

BATCH_SIZE, VALIDATION = 512, 256


def standardised_rows() -> Tensor:
    X, _ = Pinwheel().sample_per_component(512, random_state=0)
    return torch.as_tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)


def bare_steps(model: MixtureObjective, rows: Tensor, n_steps: int) -> float:
    """Process-CPU seconds of bare steps over batches that lie ready."""
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0, fused=True)
    batches = [{"x": part} for part in rows.split(BATCH_SIZE) if len(part) == BATCH_SIZE]
    started = time.process_time()
    for i in range(n_steps):
        optimizer.zero_grad()
        model(batches[i % len(batches)]).total.backward()
        optimizer.step()
    return time.process_time() - started


def fitted_steps(model: MixtureObjective, rows: Tensor, held_out: Tensor, n_steps: int) -> float:
    """Process-CPU seconds of the same number of steps by the fit loop, with all it does besides."""
    per_epoch = len(rows) // BATCH_SIZE
    options = FitOptions(
        max_epochs=n_steps // per_epoch,
        batch_size=BATCH_SIZE,
        learning_rate=1e-3,
        average=0.99,
        patience=None,
        min_evaluation_steps=20,
        monitor="nll",
        progress=False,
    )
    started = time.process_time()
    result = fit(model, {"x": rows}, {"x": held_out}, options=options)
    seconds = time.process_time() - started
    if result.steps != n_steps or result.skipped_steps:
        raise RuntimeError(f"{result.steps} steps of {n_steps}, {result.skipped_steps} skipped")
    return seconds


def run(rounds: int, steps: int) -> list[Figure]:
    rows = standardised_rows()
    held_out, rows = rows[:VALIDATION], rows[VALIDATION:]
    model = MixtureObjective(flow_mixture(2, 5, seed=0))
    bare_steps(copy.deepcopy(model), rows, 20)
    fitted_steps(copy.deepcopy(model), rows, held_out, 20)
    bare, loop = [], []
    for _ in range(rounds):
        bare.append(bare_steps(copy.deepcopy(model), rows, steps))
        loop.append(fitted_steps(copy.deepcopy(model), rows, held_out, steps))
    bare_ms, loop_ms = (median(seconds) / steps * 1e3 for seconds in (bare, loop))
    # the machine changes its speed between rounds: neighbours are compared, not sums
    overhead = 100 * (median(b / a for a, b in zip(bare, loop, strict=True)) - 1)
    print(f"bare step {bare_ms:.2f} ms, step of the loop {loop_ms:.2f} ms: {overhead:+.1f} %")
    return [
        Figure("bare step ms", bare_ms),
        Figure("step of the loop ms", loop_ms),
        Figure("overhead %", overhead, 15.0, "lower"),
    ]


if __name__ == "__main__":
    record(
        "bench-fit-overhead",
        __doc__,
        run,
        settings={"batch_size": BATCH_SIZE},
        rounds=15,
        steps=400,
    )
