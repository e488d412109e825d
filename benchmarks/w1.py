"""W1: a training step of a variational mixture of K Real NVPs on pinwheel-sized batches.

Each contender has K flows of 8 affine couplings in two dimensions, conditioners 1-8-2 with ReLU, a
posterior network 2-3-K, the enumerated bound, and Adam, on the same 512 rows. Peers loop over K, as
their users must.
"""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from anabranch.distributions import Mixture
from anabranch.experiments import Figure
from anabranch.models import MixtureModel, realnvp
from anabranch.networks import MLP
from anabranch.objectives import MixtureObjective
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

LAYERS, HIDDEN, ROWS = 8, 8, 512


def subnet(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))


def zuko_flow() -> Callable[[Tensor], Tensor]:
    import zuko

    flow = zuko.flows.NICE(2, transforms=LAYERS, hidden_features=[HIDDEN])
    return flow, lambda x: flow().log_prob(x)


def nflows_flow() -> Callable[[Tensor], Tensor]:
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms import AffineCouplingTransform, CompositeTransform

    class Net(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.net = subnet(inputs, outputs)

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return self.net(x)

    layers = [
        AffineCouplingTransform(mask=[1, -1] if i % 2 else [-1, 1], transform_net_create_fn=Net)
        for i in range(LAYERS)
    ]
    flow = Flow(CompositeTransform(layers), StandardNormal([2]))
    return flow, flow.log_prob


def normflows_flow() -> Callable[[Tensor], Tensor]:
    import normflows as nf

    layers = []
    for _ in range(LAYERS):
        net = nf.nets.MLP([1, HIDDEN, 2], init_zeros=True)
        layers += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(2, mode="swap")]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(2, trainable=False), layers)
    return flow, flow.log_prob


def freia_flow() -> Callable[[Tensor], Tensor]:
    import FrEIA.framework as framework
    import FrEIA.modules as modules

    flow = framework.SequenceINN(2)
    for _ in range(LAYERS // 2):  # a block moves both halves: two couplings
        flow.append(modules.GLOWCouplingBlock, subnet_constructor=subnet)

    def log_prob(x: Tensor) -> Tensor:
        z, log_det = flow(x)
        return -0.5 * z.square().sum(1) - math.log(2 * math.pi) + log_det

    return flow, log_prob


PEERS = {
    "zuko": zuko_flow,
    "nflows": nflows_flow,
    "normflows": normflows_flow,
    "FrEIA": freia_flow,
}


def peer_step(make: Callable, n_components: int, x: Tensor) -> Step:
    flows, log_probs = zip(*(make() for _ in range(n_components)), strict=True)
    posterior = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, n_components))
    parameters = [*nn.ModuleList(flows).parameters(), *posterior.parameters()]
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], lr=1e-3)

    def step() -> Tensor:
        log_q = torch.log_softmax(posterior(x), dim=1)
        log_p = torch.stack([log_prob(x) for log_prob in log_probs], dim=1)
        joint = log_p - math.log(n_components)
        loss = -(log_q.exp() * (joint - log_q)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def our_step(n_components: int, x: Tensor, *, compiled: bool = False) -> Step:
    flows = realnvp(
        2, n_layers=LAYERS, hidden=[HIDDEN], activation="relu", batch_shape=[n_components], seed=0
    )
    mixture = MixtureModel(Mixture(flows), MLP(2, n_components, (3,)))
    model = MixtureObjective(mixture, inference="variational")
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0, fused=True)
    forward = torch.compile(model) if compiled else model
    batch = {"x": x}

    def step() -> Tensor:
        loss = forward(batch).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def run(*, compile: bool) -> list[Figure]:
    warnings.simplefilter("ignore")  # of peers
    x = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(0))
    figures = []
    for n_components, target in ((5, 4.0), (20, 7.0)):
        steps = {name: peer_step(make, n_components, x) for name, make in PEERS.items()}
        steps["anabranch"] = our_step(n_components, x)
        if compile and n_components == 5:
            steps["anabranch compiled"] = our_step(n_components, x, compiled=True)
        times = interleaved(steps)
        best = min(times[name] for name in PEERS)
        for name, milliseconds in times.items():
            times_best = best / milliseconds
            print(f"K={n_components:3d}  {name:20s} {milliseconds:8.2f} ms  {times_best:6.2f}x")
            figures.append(Figure(f"K={n_components} {name} ms", milliseconds))
        ratio = best / times["anabranch"]
        figures.append(Figure(f"K={n_components} times the best peer", ratio, target, "higher"))
        if "anabranch compiled" in times:
            ratio = best / times["anabranch compiled"]
            figures.append(Figure(f"K={n_components} compiled, times it", ratio, 6.0, "higher"))
    return figures


if __name__ == "__main__":
    record(
        "bench-w1",
        __doc__,
        run,
        settings={"layers": LAYERS, "hidden": HIDDEN, "rows": ROWS, "threads": 1},
        compile=True,
    )
