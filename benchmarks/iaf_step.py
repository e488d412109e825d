"""What a step of a variational autoencoder with an inverse autoregressive posterior costs.

Beside its own matrix products, and beside the same with a diagonal posterior: binarised images of
784 pixels, hidden layers of 500 and 500, 32 latents, batches of 128. The steps take turns in one
process. The matrix products are those of the step, forward and backward, in the shapes that the
step has them in.
"""

import torch
from torch import Tensor

from anabranch.experiments import Figure
from anabranch.models import flow_vae
from anabranch.models.specs import Spec
from anabranch.objectives import ImportanceBound
from anabranch.training.allocation import kept_memory
from benchmarks.recording import record
from benchmarks.timing import Step, interleaved
from benchmarks.vimco_step import Products

FEATURES, LATENT, BATCH_SIZE = 784, 32, 128
IAF: dict[str, object] = {"name": "iaf", "n_layers": 2, "hidden": [320]}
LIMIT = 1.15


def bits() -> Tensor:
    """A batch of coins."""
    return (
        torch.rand(BATCH_SIZE, FEATURES, generator=torch.Generator().manual_seed(0)) < 0.2
    ) * 1.0


def objective_of(posterior: Spec) -> ImportanceBound:
    model = flow_vae(FEATURES, latent=LATENT, posterior=posterior, likelihood="bernoulli", seed=0)
    return ImportanceBound(model).train()


def step_of(objective: ImportanceBound) -> Step:
    """Forward, backward and AdamW on the same batch again and again."""
    x, noise = bits(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-5, weight_decay=0.0, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = objective({"x": x}, generator=noise).total
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def products_of(objective: ImportanceBound) -> Step:
    """The matrix products of a step, forward and backward, and nothing else."""
    with Products() as products:
        objective({"x": bits()}).total.backward()
    operands = [
        [torch.empty_strided(*layout).uniform_() for layout in layouts] for layouts in products.seen
    ]

    def step() -> Tensor:
        for a, b in operands:
            torch.mm(a, b)
        return torch.zeros(())

    return step


def run(rounds: int) -> list[Figure]:
    steps = {
        "step": step_of(objective_of(IAF)),
        "products": products_of(objective_of(IAF)),
        "diagonal": step_of(objective_of("diagonal")),
    }
    with kept_memory():  # as in a fit
        ms = interleaved(steps, rounds=rounds, repeats=4)
    share, more = ms["step"] / ms["products"], ms["step"] / ms["diagonal"]
    return [
        Figure("IAF-VAE step, times its matrix products", share, LIMIT, "lower"),
        Figure("IAF-VAE step, times that with a diagonal posterior", more),
        Figure("IAF-VAE step, ms", ms["step"]),
    ]


if __name__ == "__main__":
    settings = {"posterior": IAF, "latent": LATENT, "batch_size": BATCH_SIZE}
    record("bench-iaf-step", __doc__, run, settings=settings, rounds=15)
