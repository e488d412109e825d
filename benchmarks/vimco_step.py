"""What a step of VIMCO costs: beside its matrix products, in bfloat16, and y stacked or in a loop.

NVISA on images of 784 pixels with hidden layers of 500 and 500, ten components, fifteen draws and
batches of 128. The steps take turns in one process. The matrix products are those of the step,
forward and backward, in the shapes that the step has them in, and with the same kernels.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import GaussianMixtureVAE, gmvae
from anabranch.networks import Linear
from anabranch.training.precision import computes_bfloat16, matrix_products
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

FEATURES, K, SAMPLES, BATCH_SIZE = 784, 10, 15, 128
LIMIT, HALF_GAIN, STACKED_GAIN = 1.15, 2.5, 2.0


def pixels() -> Tensor:
    """A batch of noise in [0, 1]."""
    return torch.rand(BATCH_SIZE, FEATURES, generator=torch.Generator().manual_seed(0))


def model_of(**how: Any) -> GaussianMixtureVAE:
    model: Any = gmvae(FEATURES, K, floor=0.1, seed=0, **how)
    model.generator = torch.Generator().manual_seed(0)
    return model.train()


def step_of(model: GaussianMixtureVAE, loss_of: Callable[[Tensor], Tensor] | None = None) -> Step:
    """Forward, backward and AdamW on the same batch again and again."""
    x = pixels()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, weight_decay=0.0, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = model({"x": x}).total if loss_of is None else loss_of(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def products_of(model: GaussianMixtureVAE) -> Step:
    """The matrix products of a step and nothing else: forward, of weights, and of inputs."""
    shapes = []  # (out, in, columns, whether the input gets a gradient)

    def record_shape(layer: Linear, columns: Callable[[Tensor], Tensor]) -> Any:
        def watched(x: Tensor) -> Tensor:
            shapes.append((*layer.weight.shape, x.shape[-1], x.requires_grad))
            return columns(x)

        return watched

    layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
    for layer in layers:
        layer.columns = record_shape(layer, layer.columns)
    model({"x": pixels()})
    for layer in layers:
        del layer.columns
    operands = [
        (torch.rand(o, i), torch.rand(i, n), torch.rand(o, n), needed) for o, i, n, needed in shapes
    ]

    def step() -> Tensor:
        for weight, x, y, needed in operands:
            torch.mm(weight, x)
            torch.mm(y, x.mT)
            if needed:
                torch.mm(weight.mT, y)
        return torch.zeros(())

    return step


def looped(model: GaussianMixtureVAE) -> Callable[[Tensor], Tensor]:
    """The loss of EnumY with one pass through encoder and decoder for each label."""

    def loss(x: Tensor) -> Tensor:
        log_q, bound = model.log_q(x), 0.0
        for k in range(K):
            y = torch.zeros(K, 1, BATCH_SIZE)
            y[k] = 1.0
            noise = torch.randn(model.latent, 1, BATCH_SIZE, generator=model.generator)
            log_w, _ = model.log_weights(x.mT, log_q, y, noise)
            bound = bound + log_q[k].exp() * log_w[0]
        return -torch.as_tensor(bound).mean()

    return loss


def run(rounds: int) -> list[Figure]:
    single, stacked = model_of(samples=SAMPLES), model_of(objective="enumerate")
    loop = model_of(objective="enumerate", reparameterized=True)
    steps = {
        "step": step_of(single),
        "products": products_of(model_of(samples=SAMPLES)),
        "stacked": step_of(stacked),
        "loop": step_of(loop, looped(loop)),
    }
    if computes_bfloat16():
        steps["half"] = step_of(model_of(samples=SAMPLES, half_precision=True))
    with matrix_products("auto", single, BATCH_SIZE * SAMPLES):
        ms = interleaved(steps, rounds=rounds, repeats=2)
    for name, value in ms.items():
        print(f"{name}: {value:.1f} ms")
    figures = [
        Figure("VIMCO step, ms", ms["step"]),
        Figure(
            "VIMCO step, times its matrix products", ms["step"] / ms["products"], LIMIT, "lower"
        ),
        Figure(
            "EnumY in a loop over K, times stacked",
            ms["loop"] / ms["stacked"],
            STACKED_GAIN,
            "higher",
        ),
    ]
    if "half" in ms:
        gain = ms["step"] / ms["half"]
        figures.append(Figure("float32 step, times bfloat16", gain, HALF_GAIN, "higher"))
    return figures


if __name__ == "__main__":
    settings = {"K": K, "samples": SAMPLES, "batch_size": BATCH_SIZE}
    record("bench-vimco-step", __doc__, run, settings=settings, rounds=5)
