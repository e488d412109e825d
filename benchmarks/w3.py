"""W3: 100 samples from a masked autoregressive flow of 5 layers, one thread.

zuko runs the network once per feature; ours keeps the hidden states, and gives the same values as
that many full passes (which the tests check).
"""

import torch

from anabranch.experiments import Figure
from benchmarks.contenders import anabranch, zuko
from benchmarks.recording import record
from benchmarks.timing import interleaved

LAYERS, ROWS = 5, 100
CASES = {21: ([256, 256], 6.0), 64: ([256, 256], 9.0), 784: ([200], 100.0)}


@torch.no_grad()
def spread(flow: torch.nn.Module) -> torch.nn.Module:
    """Away from the identity, as a trained flow is."""
    generator = torch.Generator().manual_seed(0)
    for parameter in flow.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    return flow


def run() -> list[Figure]:
    torch.set_grad_enabled(False)
    figures = []
    for features, (hidden, target) in CASES.items():
        ours = spread(anabranch("MAF", features, LAYERS, hidden)[0])
        theirs = spread(zuko("MAF", features, LAYERS, hidden)[0])
        steps = {
            "zuko": lambda flow=theirs: flow().sample((ROWS,)).sum(),
            "anabranch": lambda flow=ours: flow.sample(ROWS).sum(),
        }
        large = features > 100
        times = interleaved(steps, rounds=3 if large else 15, repeats=1 if large else 5)
        ratio = times["zuko"] / times["anabranch"]
        for name, milliseconds in times.items():
            print(f"D={features:4d} {name:10s} {milliseconds:9.2f} ms")
            figures.append(Figure(f"D={features} {name} ms", milliseconds))
        print(f"D={features:4d} {ratio:.1f} times zuko")
        figures.append(Figure(f"D={features} times zuko", ratio, target, "higher"))
    return figures


if __name__ == "__main__":
    settings = {"layers": LAYERS, "rows": ROWS, "hidden": {d: h for d, (h, _) in CASES.items()}}
    record("bench-w3", __doc__, run, settings={**settings, "threads": 1})
