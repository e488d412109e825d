"""W5: steps of numeric flows beside peers' of equal sizes, and linear maps with kept inverses.

8 features, two hidden layers of 64 units, 256 rows, Adam, one thread. Unconstrained monotonic
autoregressive layers and continuous flows beside zuko's (its solver is adaptive, ours takes 8 steps
of fourth order), residual layers with Russian roulette beside normflows', and draws through 64 x 64
linear maps whose inverse is kept beside nflows', where it is installed.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from anabranch.distributions import Flow, Normal
from anabranch.experiments import Figure
from anabranch.models import cnf, residual_flow
from anabranch.transforms import Autoregressive, DenseLinear, UnconstrainedMonotonic
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

FEATURES, ROWS, HIDDEN = 8, 256, [64, 64]
WIDE = 64


def trained(module: nn.Module, log_prob: Callable[[Tensor], Tensor], x: Tensor) -> Step:
    """A step of Adam on the likelihood."""
    optimizer = torch.optim.Adam(module.parameters(), 1e-4)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = -log_prob(x).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def monotonic(x: Tensor) -> dict[str, Step]:
    import zuko

    layer = Autoregressive(UnconstrainedMonotonic(), FEATURES, hidden=HIDDEN)
    ours = Flow(Normal(FEATURES), layer)
    theirs = zuko.flows.UNAF(FEATURES, transforms=1, hidden_features=HIDDEN)
    return {
        "anabranch": trained(ours, ours.log_prob, x),
        "zuko": trained(theirs, lambda x: theirs().log_prob(x), x),
    }


def continuous(x: Tensor) -> dict[str, Step]:
    import zuko

    ours = cnf(FEATURES, hidden=HIDDEN, n_steps=8, seed=0)
    theirs = zuko.flows.CNF(FEATURES, hidden_features=HIDDEN, atol=1e-4, rtol=1e-4)
    return {
        "anabranch": trained(ours, ours.log_prob, x),
        "zuko": trained(theirs, lambda x: theirs().log_prob(x), x),
    }


def residual(x: Tensor) -> dict[str, Step]:
    import normflows as nf

    sizes = {"n_layers": 2, "hidden": HIDDEN, "limit": 0.9, "norm": None, "seed": 0}
    ours = residual_flow(FEATURES, log_det="roulette", **sizes)
    layers = [
        nf.flows.Residual(nf.nets.LipschitzMLP([FEATURES, *HIDDEN, FEATURES], lipschitz_const=0.9))
        for _ in range(2)
    ]
    base = nf.distributions.DiagGaussian(FEATURES, trainable=False)
    theirs = nf.NormalizingFlow(base, layers)
    source = torch.Generator().manual_seed(0)
    return {
        "anabranch": trained(ours, lambda x: ours.log_prob(x, generator=source), x),
        "normflows": trained(theirs, theirs.log_prob, x),
    }


def linear(_: Tensor) -> dict[str, Step]:
    x = torch.randn(ROWS, WIDE, generator=torch.Generator().manual_seed(1))
    ours = DenseLinear(WIDE, generator=torch.Generator().manual_seed(0)).eval()
    steps: dict[str, Step] = {"anabranch": torch.no_grad()(lambda: ours.decode(x)[1].mean())}
    if find_spec("nflows"):
        from nflows.transforms.linear import NaiveLinear

        theirs = NaiveLinear(WIDE, using_cache=True).eval()
        steps["nflows"] = torch.no_grad()(lambda: theirs.inverse(x)[1].mean())
    return steps


CONTESTS = {"monotonic": monotonic, "continuous": continuous, "residual": residual}


def run() -> list[Figure]:
    warnings.simplefilter("ignore")  # of peers
    x = torch.randn(ROWS, FEATURES, generator=torch.Generator().manual_seed(0))
    figures = []
    for kind, make in {**CONTESTS, "linear": linear}.items():
        times = interleaved(make(x), repeats=200 if kind == "linear" else 3)
        figures += [Figure(f"{kind} {name} ms", ms) for name, ms in times.items()]
        for name, milliseconds in times.items():
            print(f"{kind:11s} {name:10s} {milliseconds:8.3f} ms")
        peers = [ms for name, ms in times.items() if name != "anabranch"]
        if peers:
            ratio = min(peers) / times["anabranch"]
            figures.append(Figure(f"{kind} times the peer", ratio, 1.0, "higher"))
    return figures


if __name__ == "__main__":
    settings = {"features": FEATURES, "rows": ROWS, "hidden": HIDDEN, "threads": 1}
    record("bench-w5", __doc__, run, settings=settings)
