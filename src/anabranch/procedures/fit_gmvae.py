"""How GMVAE is trained."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.gmvae import HierarchicalMixtureVAE
from anabranch.objectives.variational_bound import latent_noise
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode, error_of
from anabranch.procedures.fit_vade import fit_watched
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult


class HierarchicalBound(Objective):
    r"""Minus the bound of GMVAE, with its constraint on the clusters; mean over rows, in nats.

    .. math:: -E_q \log p(x \mid z) + E_q\, \mathrm{KL}_z + \mathrm{KL}_w
        + E_q \max(\lambda, \mathrm{KL}(p(k \mid z, w) \,\|\, 1/K))
        + \alpha\, E_q H(p(k \mid z, w))

    The last divergence draws clusters together; up to lambda nats it costs nothing, row by row,
    which leaves a bound. With alpha the loss is no bound any more. In evaluation mode the draws are
    the same at every call.

    Args:
        model: whose terms are summed.
        information: lambda, in nats; None for three quarters of log K.
        entropy: alpha.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for a weight below zero.

    Example:
        >>> from anabranch.models import gmvae
        >>> model = gmvae(3, 4, latent=2, hidden=[8], seed=0)
        >>> sorted(HierarchicalBound(model).eval()({"x": torch.zeros(5, 3)}).terms)
        ['conditional_prior', 'k_prior', 'reconstruction', 'w_prior']
    """

    stochastic = True

    def __init__(
        self,
        model: HierarchicalMixtureVAE,
        *,
        information: float | None = None,
        entropy: float = 0.0,
    ) -> None:
        super().__init__()
        if information is None:
            information = 0.75 * math.log(model.n_components)
        if not (information >= 0 and entropy >= 0):
            raise ValueError(
                f"information and entropy must not be negative, got {information} and {entropy}"
            )
        self.model, self.information, self.entropy = model, information, entropy

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """Minus the bound of a batch; with alpha, plus the entropy."""
        x = batch["x"]
        terms = self.model.terms(x, latent_noise(self, x, self.model.noise_size, generator))
        if self.information:
            terms["k_prior"] = terms["k_prior"].clamp_min(self.information)
        entropy = terms.pop("entropy").mean()
        means = {name: term.mean() for name, term in terms.items()}
        means["reconstruction"] = -means["reconstruction"]
        return Loss(torch.stack(list(means.values())).sum() + self.entropy * entropy, means)


def fit_gmvae(
    model: HierarchicalMixtureVAE,
    x: Tensor,
    held_out: Tensor,
    run: TrainingRun,
    *,
    information: float | None = None,
    entropy: float = 0.0,
) -> FitResult:
    """Train GMVAE from its start or from random networks, to the state with the best bound.

    Source: Dilokthanakul et al. (2016), arXiv:1611.02648.

    Args:
        model: after ``start_from``, or fresh.
        x: (N, D).
        held_out: (M, D), on which the bound is compared.
        run: of the loop.
        information: nats of KL(p(k|z,w) || p(k)) per row that cost nothing more: the minimum
            information constraint (second version of the paper). None for three quarters of log K;
            with 0 there is no constraint, and clusters fade from a random start.
        entropy: weight of the entropy of p(k|z,w) in the loss, the consistency violation (authors'
            code of the first version).

    Returns:
        What the fit did; ``stopped`` is "collapsed" where it was that.

    Raises:
        ValueError: for a weight below zero.

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> from anabranch.models import gmvae
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = gmvae(3, 2, latent=2, hidden=[8], seed=0)
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_gmvae(model, x, x[:16], run).steps
        4
    """
    objective = HierarchicalBound(model, information=information, entropy=entropy)
    return fit_watched(objective, model, x, held_out, run)


def cluster_by_gmvae(
    task: ClusteringTask, *, n_init: int, information: float | None, entropy: float
) -> Trained:
    """A mixture on codes where there is an autoencoder, then `fit_gmvae`."""
    results: dict[str, FitResult] = {}
    model, noise = task.build(HierarchicalMixtureVAE)
    start = None
    if task.starts_from_codes:
        coder, results["autoencoder"] = task.pretrained(Autoencoder)
        moments, start = task.moments(encode(coder, task.x), n_init)
        model.start_from(coder, error_of(results["autoencoder"]), *moments)
    weights = {"information": information, "entropy": entropy}
    results["clusters"] = fit_gmvae(model, task.train, task.held_out, task.run(noise), **weights)
    return Trained(model, start, results)
