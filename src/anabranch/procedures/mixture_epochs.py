"""What changes between the epochs of a mixture: noise, expectations, weights, and which rows."""

from collections.abc import Callable

import torch
from torch import Tensor

from anabranch.models import MixtureModel
from anabranch.procedures.mixture_options import FlowMixtureOptions, SemiSupervised
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.rows import Rows

Data = dict[str, Tensor]
# Rows that a pass without gradients takes at a time.
PART = 4096


def epoch_hook(
    model: MixtureModel,
    data: Data,
    rows: Rows,
    plan: FlowMixtureOptions,
    preparation: Preparation,
    seed: int,
) -> Callable[[int], Tensor | None] | None:
    """What a fit does before each epoch, or None for nothing.

    In this order: new dequantization noise; the E-step of EM; the mixture weights of all rows; and
    the choice of the rows to go through, where labelled and unlabelled ones take turns.

    Args:
        model: the model in training.
        data: the tensors it is trained on; rewritten in place.
        rows: the rows they were made of.
        plan: the settings.
        preparation: what dequantizes integers.
        seed: of the noise.
    """
    raw, em, weights = rows.raw, plan.model_options.algorithm == "em", plan.model_options.weights
    how = weights if isinstance(weights, str) else "given"
    if em and model.mixture.logits.requires_grad:
        how = "exact"
    if em:
        data["responsibilities"] = data["x"].new_zeros(len(rows.z), model.mixture.n_components)
    turns = _turns(rows, plan.semi_supervised)
    if not (raw is not None or em or turns or how in ("exact", "network")):
        return None

    @torch.no_grad()
    def begin_epoch(epoch: int) -> Tensor | None:
        if raw is not None:
            # a source of its own for each epoch, so that a resumed run draws the same noise
            preparation.renew(raw, data["x"], seed + 1 + epoch)
        if em or how == "exact":
            R = torch.softmax(joint_in_parts(model, data["x"]), 0)
            if em:
                data["responsibilities"].copy_(R.mT)
        elif how == "network":
            R = log_q_in_parts(model, data.get("features", data["x"])).exp()
        else:
            return turns(epoch) if turns else None
        if how in ("exact", "network"):
            model.mixture.set_weights(_counts(R, data))
        return turns(epoch) if turns else None

    return begin_epoch


def joint_in_parts(model: MixtureModel, x: Tensor) -> Tensor:
    """Log p(x, c) of many rows, (K, n)."""
    return torch.cat([model.mixture.joint_log_prob(part) for part in x.split(PART)], dim=1)


def log_q_in_parts(model: MixtureModel, seen: Tensor) -> Tensor:
    """Log q(c|x) of many rows, (K, n)."""
    return torch.cat([model.log_q(part) for part in seen.split(PART)], dim=1)


def _counts(R: Tensor, data: Data) -> Tensor:
    """Rows that each component owns, labels overruling; a little for all, so that none is lost."""
    if "targets" in data:
        known = data["targets"].sum(1) > 0
        R = torch.where(known, data["targets"].mT, R)
    return (R * data["weights"] if "weights" in data else R).sum(1) + 1e-3


def _turns(rows: Rows, settings: SemiSupervised) -> Callable[[int], Tensor | None] | None:
    """Which rows an epoch goes through: labelled ones at first, then each kind in turn."""
    if rows.targets is None:
        return None
    alternate = settings.order == "alternate"
    if not (settings.pretrain_epochs or alternate):
        return None
    known = rows.targets.sum(1) > 0
    labelled, unlabelled = known.nonzero().squeeze(1), (~known).nonzero().squeeze(1)

    def choose(epoch: int) -> Tensor | None:
        if epoch < settings.pretrain_epochs:
            return labelled
        if not alternate or not len(unlabelled):
            return None
        return unlabelled if (epoch - settings.pretrain_epochs) % 2 == 0 else labelled

    return choose
