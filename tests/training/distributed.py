"""Trainings that are run by one process, or by several under torchrun."""

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from anabranch.archive import write_archive
from anabranch.contracts import Objective
from anabranch.models import flow_mixture
from anabranch.objectives import MixtureObjective
from anabranch.training import FitOptions, fit
from tests.registry import perturb, seeded

BATCH_SIZES = (16, 15)
BROKEN = {3, 9, 10}


class Broken(torch.nn.Module):
    """Gives infinite losses with finite gradients, where there are processes in the last only."""

    def __init__(self, model):
        super().__init__()
        self.model, self.step = model, -1

    def forward(self, batch):
        loss = self.model(batch)
        self.step += self.training
        last = not dist.is_initialized() or dist.get_rank() == dist.get_world_size() - 1
        if self.training and self.step in BROKEN and last:
            return loss._replace(total=loss.total + torch.inf)
        return loss


class Jittered(Objective):
    """The model at rows that are moved at random."""

    stochastic = True

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch, *, generator=None):
        x = batch["x"]
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return self.model({"x": x + 0.1 * noise})


def train(batch_size, *, wrap=None, norm=None):
    flow = {"name": "realnvp", "n_layers": 2, "hidden": [8], "norm": norm}
    mixture = flow_mixture(2, 3, flow=flow, posterior={"name": "mlp", "hidden": [8]}, seed=0)
    model = MixtureObjective(perturb(mixture, std=0.4)).double()
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    x = torch.randn(60, 2, generator=seeded(0), dtype=torch.float64)
    options = FitOptions(
        max_epochs=6,
        batch_size=batch_size,
        learning_rate=0.02,
        average=0.5,
        min_evaluation_steps=3,
        progress=False,
    )
    result = fit(
        model if wrap is None else wrap(model),
        {"x": x},
        {"x": x[:20] * 1.1},
        options=options,
        generator=seeded(1),
        noise=seeded(2),
    )
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    return {
        "state": dict(model.state_dict()),
        "history": result.history[1:],  # the first holds NaN, which equals nothing
        "skipped": result.skipped_steps,
        "moved": float((after - before).abs().max()),
    }


def train_all(path):
    runs = {f"batch{size}": train(size) for size in BATCH_SIZES}
    runs["broken"] = train(16, wrap=Broken)
    runs["batchnorm"] = train(16, norm="batchnorm")
    runs["noise"] = train(16, wrap=Jittered)
    if path is not None:
        write_archive(path, "model", runs)
    return runs


def main():
    dist.init_process_group("gloo")
    train_all(Path(sys.argv[1]) / f"rank{dist.get_rank()}")
    try:
        train(1)
    except ValueError as error:
        print(f"whole batch refused: {error}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
