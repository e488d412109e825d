"""W2: a training step on a table, by Real NVP, MAF and NSF of equal sizes.

21 features, 5 layers, conditioners of two layers of 256 units, 512 rows, Adam, one thread. Ours
runs once as torch multiplies by default, and once with ``matmul="fast"``, which is what ``fit``
takes by itself where the products keep float32.
"""

import warnings

import torch

from anabranch.experiments import Figure
from anabranch.networks import Linear
from anabranch.training.precision import keeps_float32, matrix_products
from benchmarks.contenders import KINDS, PEERS, anabranch, flowjax_step, training_step
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

FEATURES, ROWS = 21, 512
SIZES = {"layers": 5, "hidden": [256, 256]}
TARGETS = {"RealNVP": 1.0, "MAF": 1.0, "NSF": 1.3}


def fast(step: Step) -> Step:
    def run() -> torch.Tensor:
        with matrix_products("fast", Linear(1, 1), ROWS):
            return step()

    return run


def run(*, flowjax: bool) -> list[Figure]:
    warnings.simplefilter("ignore")  # of peers
    x = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    figures = [Figure("fast products keep float32 here", float(keeps_float32()))]
    for kind in KINDS:
        steps = {name: training_step(make, kind, x, **SIZES) for name, make in PEERS.items()}
        if flowjax:
            steps["FlowJAX"] = flowjax_step(kind, x, **SIZES)
        steps["anabranch"] = training_step(anabranch, kind, x, **SIZES)
        steps["anabranch fast"] = fast(training_step(anabranch, kind, x, **SIZES))
        times = interleaved(steps, repeats=5)
        best = min(times[name] for name in PEERS)
        for name, milliseconds in times.items():
            print(f"{kind:8s} {name:16s} {milliseconds:8.2f} ms  {best / milliseconds:6.2f}x")
            figures.append(Figure(f"{kind} {name} ms", milliseconds))
        ratio, faster = best / times["anabranch"], best / times["anabranch fast"]
        name = f"{kind} times the best PyTorch peer"
        figures.append(Figure(name, ratio, TARGETS[kind], "higher"))
        target = (1.4, "higher") if kind == "RealNVP" else ()
        figures.append(Figure(f"{name}, fast products", faster, *target))
    return figures


if __name__ == "__main__":
    settings = {"features": FEATURES, "rows": ROWS, **SIZES, "threads": 1}
    record("bench-w2", __doc__, run, settings=settings, flowjax=True)
