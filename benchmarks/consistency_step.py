"""What consistency costs: a training step with it against the plain step.

On the pinwheel workload, the default mixture of five flows in batches of 512, with noise and with
adversarial noise; and on images of 784 pixels with a larger q and five masked autoregressive flows,
with random affine maps. The steps take turns in one process.
"""

from typing import Any

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import flow_mixture
from anabranch.objectives import MixtureObjective, make_perturbation
from anabranch.problems import Pinwheel
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

BATCH_SIZE = 512
LIMIT = 2.2
TABLE: dict[str, Any] = {"features": 2, "n_components": 5, "inference": "variational"}
IMAGES: dict[str, Any] = {
    "features": 784,
    "n_components": 5,
    "inference": "variational",
    "diagonal": True,
    "flow": "maf",
    "posterior": {"name": "mlp", "hidden": [512, 512]},
}
WORKLOADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pinwheel": (TABLE, {"noise": "noise", "adversarial": "adversarial"}),
    "images": (IMAGES, {"affine": {"name": "affine", "image_shape": [28, 28]}}),
}


def rows(features: int) -> Tensor:
    """A batch: standardised points of the pinwheel, or random pixels."""
    if features != 2:
        return torch.rand(BATCH_SIZE, features, generator=torch.Generator().manual_seed(0))
    X, _ = Pinwheel().sample(BATCH_SIZE, random_state=0)
    return torch.as_tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)


def step_of(arguments: dict[str, Any], perturbation: Any, x: Tensor) -> Step:
    """Forward, backward and AdamW on the same batch again and again."""
    how, source = {}, torch.Generator().manual_seed(0)
    if perturbation:
        moved = make_perturbation(perturbation, features=arguments["features"])
        how = {"consistency": 1.0, "perturbation": moved}
    inference = {key: value for key, value in arguments.items() if key == "inference"}
    recipe = {key: value for key, value in arguments.items() if key != "inference"}
    model = MixtureObjective(flow_mixture(**recipe, seed=0), **inference, **how).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 1e-4, weight_decay=0.0, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = model({"x": x}, generator=source).total
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def run(rounds: int) -> list[Figure]:
    figures = []
    for workload, (arguments, perturbations) in WORKLOADS.items():
        x = rows(arguments["features"])
        steps = {"plain": step_of(arguments, None, x)}
        steps |= {name: step_of(arguments, how, x) for name, how in perturbations.items()}
        repeats = 40 if workload == "pinwheel" else 2
        ms = interleaved(steps, rounds=rounds, repeats=repeats)
        figures.append(Figure(f"{workload}, plain step ms", ms["plain"]))
        for name in perturbations:
            ratio = ms[name] / ms["plain"]
            print(f"{workload}, {name}: {ms[name]:.2f} ms, {ratio:.2f} times {ms['plain']:.2f} ms")
            figures.append(Figure(f"{workload}, {name}: times a plain step", ratio, LIMIT, "lower"))
    return figures


if __name__ == "__main__":
    record("bench-consistency-step", __doc__, run, settings={"batch_size": BATCH_SIZE}, rounds=15)
