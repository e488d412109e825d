"""W4: a training step of a mixture of five MAFs on 784 features, 100 rows, one thread.

5 layers with one hidden layer of 200 units each. Peers loop over the components, as their users
must.
"""

import warnings

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import maf
from benchmarks.contenders import PEERS
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved
from benchmarks.w2 import fast

FEATURES, COMPONENTS, ROWS = 784, 5, 100
LAYERS, HIDDEN = 5, [200]


def peer_step(name: str, x: Tensor) -> Step:
    made = [PEERS[name]("MAF", FEATURES, LAYERS, HIDDEN) for _ in range(COMPONENTS)]
    parameters = [p for flow, _ in made for p in flow.parameters() if p.requires_grad]
    return _step(lambda: torch.stack([log_prob(x) for _, log_prob in made]), parameters, None)


def our_step(x: Tensor) -> Step:
    flows = maf(
        FEATURES,
        n_layers=LAYERS,
        hidden=HIDDEN,
        activation="relu",
        batch_shape=[COMPONENTS],
        seed=0,
    )
    return _step(lambda: flows.log_prob(x), list(flows.parameters()), True)


def _step(log_probs: Step, parameters: list[torch.nn.Parameter], fused: bool | None) -> Step:
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=fused)

    def step() -> Tensor:
        loss = -torch.logsumexp(log_probs(), 0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def run() -> list[Figure]:
    warnings.simplefilter("ignore")  # of peers
    x = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    steps = {name: peer_step(name, x) for name in PEERS}
    steps |= {"anabranch": our_step(x), "anabranch fast": fast(our_step(x))}
    times = interleaved(steps, rounds=7, repeats=3)
    best = min(times[name] for name in PEERS)
    figures = []
    for name, milliseconds in times.items():
        print(f"{name:16s} {milliseconds:8.2f} ms  {best / milliseconds:6.2f}x")
        figures.append(Figure(f"{name} ms", milliseconds))
    ratio, faster = best / times["anabranch"], best / times["anabranch fast"]
    return [
        *figures,
        Figure("times the best PyTorch peer", ratio, 1.3, "higher"),
        Figure("times the best PyTorch peer, fast products", faster),
    ]


if __name__ == "__main__":
    settings = {"features": FEATURES, "components": COMPONENTS, "rows": ROWS}
    settings |= {"layers": LAYERS, "hidden": HIDDEN, "threads": 1}
    record("bench-w4", __doc__, run, settings=settings)
