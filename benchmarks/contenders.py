"""The same flows in every library: D features, layers with 2 x width conditioners, as densities.

Each function makes a trainable module and its log_prob. Peers are built from their own parts with
the same sizes: the affine or spline map, natural and reversed order in turn.
"""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.models import build
from benchmarks.timing import Step

Made = tuple[nn.Module, Callable[[Tensor], Tensor]]
KINDS = ("RealNVP", "MAF", "NSF")
BINS, BOUND = 8, 5.0


def anabranch(kind: str, features: int, layers: int, hidden: list[int]) -> Made:
    recipes = {
        "RealNVP": {"name": "realnvp"},
        "MAF": {"name": "maf"},
        "NSF": {"name": "nsf", "structure": "autoregressive", "bins": BINS, "bound": BOUND},
    }
    flow = build(
        features=features,
        n_layers=layers,
        hidden=hidden,
        activation="relu",
        seed=0,
        **recipes[kind],
    )
    return flow, flow.log_prob


def zuko(kind: str, features: int, layers: int, hidden: list[int]) -> Made:
    import zuko

    make = {"RealNVP": zuko.flows.RealNVP, "MAF": zuko.flows.MAF, "NSF": zuko.flows.NSF}[kind]
    extra = {"bins": BINS} if kind == "NSF" else {}
    flow = make(features, transforms=layers, hidden_features=hidden, **extra)
    return flow, lambda x: flow().log_prob(x)


def nflows(kind: str, features: int, layers: int, hidden: list[int]) -> Made:
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms import (
        AffineCouplingTransform,
        CompositeTransform,
        MaskedAffineAutoregressiveTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    parts: list[nn.Module] = []
    made = {
        "hidden_features": hidden[0],
        "num_blocks": len(hidden) - 1,
        "use_residual_blocks": False,
    }
    for i in range(layers):
        if kind == "RealNVP":
            mask = torch.where((torch.arange(features) >= features // 2) == (i % 2 == 0), 1, -1)
            net = _plain_network(hidden)
            parts.append(AffineCouplingTransform(mask=mask, transform_net_create_fn=net))
            continue
        if kind == "MAF":
            parts.append(MaskedAffineAutoregressiveTransform(features, **made))
        else:
            spline = MaskedPiecewiseRationalQuadraticAutoregressiveTransform
            parts.append(spline(features, num_bins=BINS, tails="linear", tail_bound=BOUND, **made))
        parts.append(ReversePermutation(features))
    flow = Flow(CompositeTransform(parts), StandardNormal([features]))
    return flow, flow.log_prob


def normflows(kind: str, features: int, layers: int, hidden: list[int]) -> Made:
    import normflows as nf

    parts: list[nn.Module] = []
    for i in range(layers):
        if kind == "RealNVP":
            mask = ((torch.arange(features) >= features // 2) == (i % 2 == 0)).float()
            sizes = [features, *hidden, features]
            nets = [nf.nets.MLP(sizes, init_zeros=True) for _ in range(2)]  # t and s apart
            parts.append(nf.flows.MaskedAffineFlow(mask, *nets))
            continue
        if kind == "MAF":
            layer = nf.flows.MaskedAffineAutoregressive(
                features, hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False
            )
            layer = nf.flows.Reverse(layer)  # its density takes D passes otherwise
        else:  # its masked network is always residual: one block has a layer more than the others'
            layer = nf.flows.AutoregressiveRationalQuadraticSpline(
                features, len(hidden) - 1, hidden[0], num_bins=BINS, tail_bound=int(BOUND)
            )
        parts += [layer, nf.flows.Permute(features, mode="swap")]
    flow = nf.NormalizingFlow(nf.distributions.DiagGaussian(features, trainable=False), parts)
    return flow, flow.log_prob


def _plain_network(hidden: list[int]) -> Callable[[int, int], nn.Module]:
    class Net(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            sizes = [inputs, *hidden]
            layers: list[nn.Module] = []
            for fan_in, fan_out in pairwise(sizes):
                layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
            self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return self.net(x)

    return Net


PEERS = {"zuko": zuko, "nflows": nflows, "normflows": normflows}


def training_step(make: Callable[..., Made], kind: str, x: Tensor, **sizes: Any) -> Step:
    """One step of maximum likelihood with Adam on all rows; ours takes the fused kernel."""
    flow, log_prob = make(kind, x.shape[1], **sizes)
    parameters = [p for p in flow.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=make is anabranch or None)

    def step() -> Tensor:
        loss = -log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def flowjax_step(kind: str, x: Tensor, layers: int, hidden: list[int]) -> Step:
    """The same by FlowJAX, compiled as its users do."""
    # One thread, as all others; read when jax is imported.
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", flags)
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal
    from flowjax.flows import coupling_flow, masked_autoregressive_flow

    make = coupling_flow if kind == "RealNVP" else masked_autoregressive_flow
    spline = RationalQuadraticSpline(knots=BINS, interval=BOUND) if kind == "NSF" else None
    flow = make(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(x.shape[1])),
        transformer=spline,
        flow_layers=layers,
        nn_width=hidden[0],
        nn_depth=len(hidden),
    )
    parameters, rest = eqx.partition(flow, eqx.is_inexact_array)
    optimizer = optax.adam(1e-4)
    rows = jnp.asarray(x.numpy())

    @jax.jit
    def update(parameters: Any, state: Any) -> Any:
        def nll(parameters: Any) -> Any:
            return -eqx.combine(parameters, rest).log_prob(rows).mean()

        loss, gradients = jax.value_and_grad(nll)(parameters)
        updates, state = optimizer.update(gradients, state)
        return eqx.apply_updates(parameters, updates), state, loss

    held = [parameters, optimizer.init(parameters)]

    def step() -> Any:
        held[0], held[1], loss = update(*held)
        return loss.block_until_ready()

    return step
