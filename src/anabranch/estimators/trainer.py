"""How an estimator's settings become a run of the fit loop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from anabranch.models import MixtureModel
from anabranch.objectives import Loss, cross_entropy
from anabranch.training import (
    ExponentialDecay,
    FitOptions,
    FitResult,
    ReduceOnPlateau,
    Schedule,
    ScheduledBuffer,
    fit,
)

if TYPE_CHECKING:
    from anabranch.estimators.flow_mixture import FlowMixture


@dataclass
class Rows:
    """Rows ready for training.

    Attributes:
        z: (n, D) as the flows see them.
        term: (n,) log-density terms of the preparation.
        targets: (n, K) labels, or None.
        raw: (n, D) integers that are dequantized anew at every epoch, or None.
    """

    z: Tensor
    term: Tensor
    targets: Tensor | None = None
    raw: Tensor | None = None

    def batch(self, device: str) -> dict[str, Tensor]:
        """The tensors that the model is trained on."""
        data = {"x": self.z, "term": self.term}
        if self.targets is not None:
            data["targets"] = self.targets
        return {name: tensor.to(device) for name, tensor in data.items()}


class _Posterior(nn.Module):
    """The posterior network alone, taught fixed probabilities."""

    def __init__(self, model: MixtureModel) -> None:
        super().__init__()
        self.network = model.posterior

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        log_q = torch.log_softmax(self.network(batch["x"]).mT, dim=0)
        return Loss(cross_entropy(log_q, batch["targets"].mT).mean(), {})


def train(
    model: MixtureModel,
    rows: Rows,
    validation: Rows,
    settings: "FlowMixture",
    *,
    seed: int,
    number: int,
    resume: bool,
) -> FitResult:
    """Teach q the start, then minimise the objective; leaves the model at its best state."""
    data, held_out = rows.batch(settings.device), validation.batch(settings.device)
    options = fit_options(settings, number)
    resume = resume and options.checkpoint is not None and Path(options.checkpoint).exists()
    if settings.max_epochs and not resume:
        teach_posterior(model, data, settings, seed)
    schedules: list[Schedule] = [ReduceOnPlateau(patience=max(settings.patience // 2 - 2, 1))]
    if settings.inference == "variational":
        decay = ExponentialDecay(
            1.0, rate=settings.temperature_decay, floor=settings.temperature_floor
        )
        schedules.append(ScheduledBuffer("temperature", model.temperature, decay))
    return fit(
        model,
        data,
        held_out,
        options=options,
        schedules=schedules,
        generator=torch.Generator().manual_seed(seed),
        resume=resume,
        on_epoch=_epoch_hook(model, data, rows, settings),
    )


def fit_options(settings: "FlowMixture", number: int = 0) -> FitOptions:
    """The settings of the loop; the start of that number has a checkpoint of its own."""
    given = dict(settings.fit_options or {})
    if number and given.get("checkpoint"):
        given["checkpoint"] = f"{given['checkpoint']}.{number}"
    variational = settings.inference == "variational"
    return FitOptions(
        **{
            "max_epochs": settings.max_epochs,
            "batch_size": settings.batch_size,
            "learning_rate": settings.learning_rate,
            "weight_decay": settings.weight_decay,
            "patience": settings.patience,
            "monitor": "negative_elbo" if variational else "nll",
            "progress": None if settings.verbose else False,
            **given,
        }
    )


def teach_posterior(
    model: MixtureModel, data: dict[str, Tensor], settings: "FlowMixture", seed: int
) -> None:
    """Fit q to the responsibilities of the start, so that the first steps do not undo it."""
    with torch.no_grad():
        targets = torch.softmax(_joint_in_parts(model, data["x"]), 0).mT
    if "targets" in data:
        known = data["targets"].sum(1, keepdim=True) > 0
        targets = torch.where(known, data["targets"], targets)
    steps_per_epoch = max(1, len(targets) // settings.batch_size)
    options = FitOptions(
        max_epochs=max(3, 300 // steps_per_epoch),
        batch_size=settings.batch_size,
        learning_rate=1e-2,
        patience=None,
        progress=False,
    )
    generator = torch.Generator().manual_seed(seed)
    fit(
        _Posterior(model),
        {"x": data["x"], "targets": targets},
        options=options,
        generator=generator,
    )


def _joint_in_parts(model: MixtureModel, x: Tensor, size: int = 4096) -> Tensor:
    return torch.cat([model.mixture.joint_log_prob(part) for part in x.split(size)], dim=1)


def _epoch_hook(
    model: MixtureModel, data: dict[str, Tensor], rows: Rows, settings: "FlowMixture"
) -> Callable[[int], None] | None:
    """What changes the data before an epoch: new dequantization noise, a new E-step."""
    preparation = settings.preparation_.transform
    raw, em = rows.raw, settings.algorithm == "em"
    if em:
        data["responsibilities"] = torch.zeros(len(rows.z), model.mixture.n_components)
        data["responsibilities"] = data["responsibilities"].to(settings.device)

    @torch.no_grad()
    def begin_epoch(epoch: int) -> None:
        if raw is not None:
            preparation.train()
            data["x"].copy_(preparation.encode(raw)[0])
            preparation.eval()
        if em:
            joint = _joint_in_parts(model, data["x"])
            posterior = torch.softmax(joint, 0).mT
            data["responsibilities"].copy_(posterior)
            if model.mixture.logits.requires_grad:
                model.mixture.set_weights(posterior.mean(0))

    return begin_epoch if raw is not None or em else None
