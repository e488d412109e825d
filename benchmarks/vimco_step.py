"""What a step of VIMCO costs: beside its matrix products, in bfloat16, and y stacked or in a loop.

NVISA on images of 784 pixels with hidden layers of 500 and 500, ten components, fifteen draws and
batches of 128. The steps take turns in one process, which keeps freed memory as a fit does. The
matrix products are those of the step, forward and backward, in the shapes that the step has them
in, and with the same kernels: torch's own, or oneDNN's, which a fit takes where they are faster and
as exact.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import softplus
from torch.utils._python_dispatch import TorchDispatchMode

from anabranch.experiments import Figure
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.objectives import Enumerated, LatentMixtureBound, MixtureBound, Vimco
from anabranch.objectives.mixture_bounds import log_weights
from anabranch.training.allocation import kept_memory
from anabranch.training.precision import computes_bfloat16, matrix_products
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved

FEATURES, K, SAMPLES, BATCH_SIZE = 784, 10, 15, 128
LIMIT, HALF_GAIN, STACKED_GAIN = 1.15, 2.5, 2.0


def pixels() -> Tensor:
    """A batch of noise in [0, 1]."""
    return torch.rand(BATCH_SIZE, FEATURES, generator=torch.Generator().manual_seed(0))


def objective_of(bound: MixtureBound, *, half: bool = False) -> LatentMixtureBound:
    model = nvisa(FEATURES, K, floor=0.1, seed=0)
    return LatentMixtureBound(model, bound, half_precision=half).train()


def step_of(
    objective: LatentMixtureBound, loss_of: Callable[[Tensor], Tensor] | None = None
) -> Step:
    """Forward, backward and AdamW on the same batch again and again."""
    x, noise = pixels(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-5, weight_decay=0.0, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = objective({"x": x}, generator=noise).total if loss_of is None else loss_of(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


class Products(TorchDispatchMode):
    """Remembers how the operands of matrix products lie in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[tuple[torch.Size, tuple[int, ...]]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.seen.append([(operand.shape, operand.stride()) for operand in args[-2:]])
        return func(*args, **(kwargs or {}))


def products_of(objective: LatentMixtureBound) -> Step:
    """The matrix products of a step, forward and backward, and nothing else."""
    with Products() as products:
        objective({"x": pixels()}).total.backward()
    operands = [
        [torch.empty_strided(*layout).uniform_() for layout in layouts] for layouts in products.seen
    ]

    def step() -> Tensor:
        for a, b in operands:
            torch.mm(a, b)
        return torch.zeros(())

    return step


def looped(model: GaussianMixtureVAE) -> Callable[[Tensor], Tensor]:
    """The loss of EnumY with one pass through encoder and decoder for each label."""
    source = torch.Generator().manual_seed(0)

    def loss(x: Tensor) -> Tensor:
        log_q, bound = model.log_q(x), 0.0
        for k in range(K):
            y = torch.zeros(K, 1, BATCH_SIZE)
            y[k] = 1.0
            noise = torch.randn(model.latent, 1, BATCH_SIZE, generator=source)
            log_w, _ = log_weights(model, x.mT, log_q, y, noise)
            bound = bound + log_q[k].exp() * log_w[0]
        return -torch.as_tensor(bound).mean()

    return loss


def written_out(model: GaussianMixtureVAE) -> Callable[[Tensor], Tensor]:
    """The same loop by torch's distributions and gradients, as one would write it down."""

    def normal(parameters: Tensor, least: Tensor | float) -> Normal:
        loc, raw = parameters.chunk(2)
        return Normal(loc, softplus(raw) + least, validate_args=False)

    def loss(x: Tensor) -> Tensor:
        log_q, bound, columns = model.log_q(x), 0.0, x.mT
        for k in range(K):
            y = torch.zeros(K, BATCH_SIZE)
            y[k] = 1.0
            posterior = normal(model.encoder.columns(columns, y), model.floor)
            z = posterior.rsample()
            prior = normal(torch.cat((model.prior.mean[:, [k]], model.prior.scale[:, [k]])), 1.0)
            likelihood = normal(model.decoder.columns(z), model.floor).log_prob(columns)
            log_w = likelihood.sum(0) + (prior.log_prob(z) - posterior.log_prob(z)).sum(0)
            bound = bound + log_q[k].exp() * (log_w - math.log(K) - log_q[k])
        return -torch.as_tensor(bound).mean()

    return loss


def under(mode: str, model: torch.nn.Module, step: Step) -> Step:
    """The step with the kernels of a mode of `FitOptions.matmul`."""

    def chosen() -> Tensor:
        with matrix_products(mode, model, BATCH_SIZE * SAMPLES):
            return step()

    return chosen


def run(rounds: int) -> list[Figure]:
    single, stacked = objective_of(Vimco(SAMPLES)), objective_of(Enumerated())
    loop = objective_of(Enumerated())
    model: Any = loop.model
    step, products = step_of(single), products_of(objective_of(Vimco(SAMPLES)))
    steps = {
        "step, torch's kernels": under("default", single, step),
        "products, torch's kernels": under("default", single, products),
        "step": under("auto", single, step),
        "products": under("auto", single, products),
        "stacked": under("auto", single, step_of(stacked)),
        "loop": under("auto", single, step_of(loop, looped(model))),
        "loop, written out": under("auto", single, step_of(loop, written_out(model))),
    }
    if computes_bfloat16():
        steps["half"] = step_of(objective_of(Vimco(SAMPLES), half=True))
    with kept_memory():  # as in a fit
        ms = interleaved(steps, rounds=rounds, repeats=2)
    for name, value in ms.items():
        print(f"{name}: {value:.1f} ms")
    return _figures(ms)


def _figures(ms: dict[str, float]) -> list[Figure]:
    plain, name = ms["step, torch's kernels"], "VIMCO step, times its matrix products"
    share = plain / ms["products, torch's kernels"]
    figures = [
        Figure(f"{name}, torch's own kernels", share, LIMIT, "lower"),
        Figure(f"{name}, kernels that a fit takes", ms["step"] / ms["products"]),
        Figure("VIMCO step, ms, torch's own kernels", plain),
        Figure("VIMCO step, ms, kernels that a fit takes", ms["step"]),
    ]
    for loop in ("loop", "loop, written out"):
        gain = ms[loop] / ms["stacked"]
        figures.append(Figure(f"EnumY in a {loop}, times stacked", gain, STACKED_GAIN, "higher"))
    if "half" in ms:
        name = "float32 step, times bfloat16"
        figures += [
            Figure(f"{name}, torch's own kernels", plain / ms["half"], HALF_GAIN, "higher"),
            Figure(f"{name}, kernels that a fit takes", ms["step"] / ms["half"]),
        ]
    return figures


if __name__ == "__main__":
    settings = {"K": K, "samples": SAMPLES, "batch_size": BATCH_SIZE}
    record("bench-vimco-step", __doc__, run, settings=settings, rounds=9)
