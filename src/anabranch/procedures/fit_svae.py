"""How SVAE is trained."""

from collections.abc import Mapping

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.svae import StructuredVAE
from anabranch.objectives.variational_bound import latent_noise
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode, error_of
from anabranch.procedures.fit_vade import fit_watched
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult
from anabranch.training.parallel import mean_over_processes, process_group

# Share of the way to the batch's own posterior that a natural gradient step goes: ten times as
# much, and clusters become what Gaussians make of bent codes before the codes are straight.
RATE = 0.01


class StructuredBound(Objective):
    r"""Minus the bound of SVAE, mean over rows, in nats; a step in training moves the mixture too.

    .. math:: -E_q \log p(x \mid z) + \mathrm{KL}(q(k, z \mid x) \,\|\, p(k, z \mid \theta))
        + \tfrac1N \mathrm{KL}(q(\theta) \,\|\, p(\theta))

    While training, each call is followed by a natural gradient step of :math:`q(\theta)` along the
    batch: its parameters are buffers, as the moving moments of a batch norm are. In evaluation mode
    the draws are the same at every call.

    Args:
        model: whose bound it is.
        n_rows: N, of all the data.
        rate: :math:`\rho` of the natural gradient steps.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for no rows, or a rate outside of (0, 1].

    Source: Johnson et al. (2016), arXiv:1603.06277; the steps: Hoffman, Blei, Wang, Paisley (2013),
    "Stochastic variational inference", arXiv:1206.7051.

    Example:
        >>> from anabranch.models import svae
        >>> model = svae(3, 4, latent=2, hidden=[8], seed=0)
        >>> sorted(StructuredBound(model, n_rows=5).eval()({"x": torch.zeros(5, 3)}).terms)
        ['divergence', 'mixture', 'reconstruction']
    """

    stochastic = True

    def __init__(self, model: StructuredVAE, *, n_rows: int, rate: float = RATE) -> None:
        super().__init__()
        if n_rows < 1 or not 0 < rate <= 1:
            raise ValueError(
                f"n_rows must be at least 1 and rate in (0, 1], got {n_rows} and {rate}"
            )
        self.model, self.n_rows, self.rate = model, n_rows, rate

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """Minus the bound of a batch."""
        x, model = batch["x"], self.model
        local = model.infer(x)
        noise = latent_noise(self, x, model.noise_size, generator)
        reconstruction, divergence = model.terms(x, local, noise)
        terms = {
            "reconstruction": -reconstruction.mean(),
            "divergence": divergence.mean(),
            "mixture": model.divergence() / self.n_rows,
        }
        if self.training:
            along = mean_over_processes(model.statistics(local), process_group())
            model.natural_step(along, self.n_rows, self.rate)
        return Loss(torch.stack(list(terms.values())).sum(), terms)


def fit_svae(
    model: StructuredVAE, x: Tensor, held_out: Tensor, run: TrainingRun, *, rate: float = RATE
) -> FitResult:
    """Train SVAE from its start on, and leave it in the state with the best bound.

    Source: Johnson, Duvenaud, Wiltschko, Datta, Adams (2016), arXiv:1603.06277.

    Args:
        model: after ``start_from``; random networks tell rows apart too little to begin with.
        x: (N, D).
        held_out: (M, D), on which the bound is compared.
        run: of the loop.
        rate: of the natural gradient steps of the mixture.

    Returns:
        What the fit did; ``stopped`` is "collapsed" where it was that.

    Raises:
        ValueError: for a rate outside of (0, 1].

    Warns:
        CollapsedWarning: where all rows came into one cluster; the state before is kept.

    Example:
        >>> from anabranch.models import autoencoder, svae
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = svae(3, 2, latent=2, hidden=[8], seed=0)
        >>> means, variances = coder.encode(x[:2]), torch.full((2, 2), 0.1)
        >>> model.start_from(coder, 1.0, torch.tensor([0.5, 0.5]), means, variances)
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_svae(model, x, x[:16], run).steps
        4
    """
    objective = StructuredBound(model, n_rows=len(x), rate=rate)
    return fit_watched(objective, model, x, held_out, run)


def cluster_by_svae(task: ClusteringTask, *, n_init: int, rate: float) -> Trained:
    """A mixture on codes, whose components are merged where they overlap, then `fit_svae`."""
    model, noise = task.build(StructuredVAE)
    coder, result = task.pretrained(Autoencoder)
    moments, start = task.merged_moments(encode(coder, task.x), n_init)
    model.start_from(coder, error_of(result), *moments)
    clusters = fit_svae(model, task.train, task.held_out, task.run(noise), rate=rate)
    return Trained(model, start, {"autoencoder": result, "clusters": clusters})
