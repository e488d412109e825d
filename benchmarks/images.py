"""A training step of Glow beside normflows' Glow, and of five of them beside five single steps.

Images of 28 x 28 in batches of 64; two scales of four steps, networks of 64 channels; Adam. The
steps take turns in one process. The component axis is tried for whole flows, and for flows that
share their finest scale, or both.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import glow
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

BATCH_SIZE, SIDE, CHANNELS, LEVELS, STEPS = 64, 28, 64, 2, 4
COMPONENTS = 5
OURS: dict[str, Any] = {
    "features": SIDE**2,
    "image_shape": [SIDE, SIDE],
    "n_levels": LEVELS,
    "n_steps": STEPS,
    "channels": CHANNELS,
    "seed": 0,
}


def training_step(parameters: Any, log_prob: Callable[[Tensor], Tensor], x: Tensor) -> Step:
    """Maximum likelihood of the same batch again and again; of all components at once."""
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad], 1e-4, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = -log_prob(x).mean(-1).sum() / SIDE**2
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def ours(x: Tensor, **changes: Any) -> Step:
    flow = glow(**{**OURS, **changes}).train()
    flow.initialize(x)
    return training_step(flow.parameters(), flow.log_prob, x)


def theirs(x: Tensor) -> Step:
    """Their example of Glow, with diagonal Gaussians for what leaves; images, not rows."""
    import normflows as nf

    bases, merges, flows = [], [], []
    for i in range(LEVELS):
        blocks = [
            nf.flows.GlowBlock(2 ** (LEVELS + 1 - i), CHANNELS, split_mode="channel", scale=True)
            for _ in range(STEPS)
        ]
        flows.append([*blocks, nf.flows.Squeeze()])
        side = SIDE // 2 ** (LEVELS - i)
        if i > 0:
            merges.append(nf.flows.Merge())
        depth = 2 ** (LEVELS - i) if i > 0 else 2 ** (LEVELS + 1)
        bases.append(nf.distributions.DiagGaussian((depth, side, side)))
    model = nf.MultiscaleFlow(bases, flows, merges, class_cond=False)
    images = x.unflatten(-1, (1, SIDE, SIDE))
    with torch.no_grad():
        model.log_prob(images, None)  # sets their normalisations
    return training_step(model.parameters(), lambda x: model.log_prob(images, None), x)


def in_turn(steps: list[Step]) -> Step:
    return lambda: torch.stack([step() for step in steps]).sum()


def run(rounds: int, peers: bool) -> list[Figure]:
    x = torch.randn(BATCH_SIZE, SIDE**2, generator=torch.Generator().manual_seed(0))
    steps = {"float32": ours(x), "bfloat16": ours(x, half_precision=True)}
    if peers:
        steps["normflows"] = theirs(x)
    ms = interleaved(steps, rounds=rounds, repeats=2)
    figures = [Figure(f"Glow, {name}: ms a step", value) for name, value in ms.items()]
    if peers:
        for name, target in (("float32", 1.3), ("bfloat16", 2.0)):
            ratio = ms["normflows"] / ms[name]
            figures.append(
                Figure(f"Glow, {name}: times as fast as normflows", ratio, target, "higher")
            )
    stack = {"batch_shape": [COMPONENTS]}
    together = {
        "five single steps": in_turn([ours(x, seed=seed) for seed in range(COMPONENTS)]),
        "five at once": ours(x, **stack),
        "five with a common finest scale": ours(x, **stack, shared_levels=1),
        "five with common scales": ours(x, **stack, shared_levels=2),
        "one": ours(x),
    }
    ms = interleaved(together, rounds=rounds, repeats=1)
    pairs = (
        ("five at once", "five single steps", 1.0),
        ("five with a common finest scale", "one", None),
        ("five with common scales", "one", None),
    )
    for name, other, target in pairs:
        better = "report" if target is None else "lower"
        figures.append(Figure(f"{name}: times {other}", ms[name] / ms[other], target, better))
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f}")
    return figures


if __name__ == "__main__":
    record("bench-images", __doc__, run, settings={"batch_size": BATCH_SIZE}, rounds=9, peers=True)
