"""How a mixture of autoencoders is trained."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.mixae import MixtureOfAutoencoders
from anabranch.objectives import balance as unbalance
from anabranch.procedures.cluster_watch import CollapsedWarning, log_responsibilities
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import CosineDecay, FitResult, Halving, Schedule, ScheduledBuffer

# Of shares, from 0 and 1, where logits are taken; and of what numbers may differ by rounding.
EPS = 1e-6
# The weight of certainty falls to this share of its first value, by halves.
LAST_CERTAINTY = 1 / 16
STAGES = 5


class AssignedError(Objective):
    r"""What MIXAE minimises: errors under the assignments, and two entropies of these.

    .. math:: \mathcal L = \tfrac1u E \sum_k p_k(x)\, e_k(x)
        + \alpha\, E\, H(p(x)) - \gamma\, H(E\, p(x)), \qquad
        e_k(x) = \lVert x - g_k(f_k(x)) \rVert^2

    with means over the batch, which has to be large enough to hold all clusters. The unit u is what
    there is to tell of a row, :math:`E\, e(x; \bar x) - E\, e(x; x)`: the error of the mean row
    above that of the row itself. Weights then mean the same for two columns and for hundreds of
    pixels. Of squared errors u is the sum of the variances; of cross-entropies the second term is
    not zero where shares are neither 0 nor 1. The published loss has no such unit.

    Args:
        model: K autoencoders and their assignments.
        x: (N, D) rows that u is taken from.
        certainty: α, of the mean entropy of p(x): assignments become certain.
        balance: γ, of the entropy of the mean of p(x): all autoencoders are used. Where it is
            not above α, assignments that do not yet depend on the row are drawn into one.

    Attributes:
        certainty: α, a buffer that a schedule may write.
        unit: u, a buffer; 1 where all rows are the same.

    Batches are dicts with ``x`` (N, D).

    Raises:
        ValueError: for a weight below zero.

    Example:
        >>> from anabranch.models import mixae
        >>> x = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        >>> objective = AssignedError(mixae(2, 2, latent=1, hidden=[8], seed=0), x)
        >>> objective.unit, sorted(objective({"x": x}).terms)
        (tensor(2.), ['entropy', 'reconstruction', 'spread'])
    """

    certainty: Tensor
    unit: Tensor

    def __init__(
        self,
        model: MixtureOfAutoencoders,
        x: Tensor,
        *,
        certainty: float = 0.1,
        balance: float = 0.5,
    ) -> None:
        super().__init__()
        if not (certainty >= 0 and balance >= 0):
            raise ValueError(
                f"certainty and balance must not be negative, got {certainty} and {balance}"
            )
        self.model, self.balance = model, balance
        self.register_buffer("certainty", torch.tensor(float(certainty), device=x.device))
        self.register_buffer("unit", unit_of(model, x))

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The error of a row under its assignments, in units, and both entropies in nats."""
        errors, log_p = self.model.told(batch["x"])
        error = (log_p.exp() * (errors / self.unit)).sum(0).mean()
        entropy = unbalance(log_p, 0.0)
        spread = entropy - unbalance(log_p, 1.0)
        total = error + self.certainty * entropy - self.balance * spread
        return Loss(total, {"reconstruction": error, "entropy": entropy, "spread": spread})


class ErrorOfClusters(Objective):
    """The error of the autoencoder of a row's cluster, and the surprise of the assignments.

    Args:
        model: K autoencoders and their assignments.
        unit: of the errors.

    Batches are dicts with ``x`` (N, D) and ``cluster`` (N,).
    """

    def __init__(self, model: MixtureOfAutoencoders, unit: Tensor) -> None:
        super().__init__()
        self.model, self.unit = model, unit

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """Both, means over the batch; the error in units, the surprise in nats."""
        errors, log_p = self.model.told(batch["x"])
        own = batch["cluster"][None]
        error, surprise = (v.gather(0, own).mean() for v in (errors / self.unit, -log_p))
        return Loss(error + surprise, {"reconstruction": error, "classification": surprise})


@torch.no_grad()
def unit_of(model: MixtureOfAutoencoders, x: Tensor) -> Tensor:
    """What there is to tell of a row (N, D), a scalar; 1 where all rows are the same."""
    mean = x.mean(0).expand_as(x)
    if model.likelihood == "gaussian":
        unit = model.error(mean, x).mean()
        rounding = EPS**2 * x.square().sum(-1).mean()
    else:
        of_mean, of_itself = (model.error(p.logit(EPS), x).mean() for p in (mean, x))
        unit, rounding = of_mean - of_itself, EPS * x.shape[1]
    return unit if unit > rounding else torch.ones_like(unit)


def fit_mixae(
    model: MixtureOfAutoencoders,
    x: Tensor,
    run: TrainingRun,
    *,
    certainty: float = 0.1,
    balance: float = 0.5,
    clusters: Tensor | None = None,
    start_epochs: int = 20,
) -> FitResult:
    """Train all autoencoders and the assignments together, from random networks or from clusters.

    The learning rate falls by half a cosine, and the weight of certainty by halves to a sixteenth:
    once assignments are certain, they need no push. All epochs are run, for a loss whose weights
    change does not tell when to stop.

    With ``clusters``, each autoencoder first learns the rows of one, and the assignments to tell
    which. From random networks, the first differences between autoencoders decide what each will
    be good at, and rows seldom change over later.

    Source: Zhang, Sun, Eriksson, Balzano (2017), arXiv:1712.07788; the start from clusters, which
    were those of k-means on the codes of one autoencoder: Chazan, Gannot, Goldberger (2018), "Deep
    clustering based on a mixture of autoencoders", arXiv:1812.06535.

    Args:
        model: from the recipe `mixae`.
        x: (N, D), standardised or in [0, 1]. Its errors are measured in units of these rows.
        run: of the loop; without its patience. A batch has to hold all clusters. The start from
            clusters has neither its loop nor its schedules.
        certainty: weight of the entropy of a row's assignments, at first.
        balance: weight of the entropy of their mean; at 0 most autoencoders fall out of use, and
            where it is not above ``certainty`` all but one may.
        clusters: (N,) integers in 0..K-1 to start from; None for random networks.
        start_epochs: epochs of that start, at a constant learning rate.

    Returns:
        What the fit did, without the start; ``stopped`` is "collapsed" where all rows are in one
        cluster.

    Raises:
        ValueError: for fewer rows, or rows a batch, than components; a weight below zero; clusters
            of another shape, or out of range.

    Warns:
        CollapsedWarning: where all rows are in one cluster.

    Example:
        >>> from anabranch.models import mixae
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = mixae(3, 2, latent=1, hidden=[8], seed=0)
        >>> fit_mixae(model, x, TrainingRun(FitOptions(max_epochs=2, batch_size=32))).steps
        4
    """
    run, k = run.with_options(patience=None), model.n_components
    if (batch_size := min(len(x), run.options.batch_size)) < k:
        raise ValueError(f"a batch must hold all {k} clusters, got {batch_size} rows")
    objective = AssignedError(model, x, certainty=certainty, balance=balance)
    if clusters is not None:
        _check_clusters(clusters, len(x), k)
        # beside the run, which may have a checkpoint and a log
        start = TrainingRun(run.options, run.generator).with_options(
            max_epochs=start_epochs, log_path=None, tensorboard=None, checkpoint=None
        )
        data = {"x": x, "cluster": clusters.to(x.device)}
        start.fit(ErrorOfClusters(model, objective.unit), data)
    steps = run.steps(len(x))
    schedules = [CosineDecay(steps), *_certainty(objective, steps)]
    result = run.fit(objective, {"x": x}, schedules=schedules)
    labels = log_responsibilities(model, x).argmax(0)
    if k > 1 and len(labels.unique()) == 1:
        result.stopped = "collapsed"
        warnings.warn(
            "all rows are in one cluster: train for longer, raise balance, or lower certainty",
            CollapsedWarning,
            stacklevel=2,
        )
    return result


def _check_clusters(clusters: Tensor, n: int, k: int) -> None:
    if clusters.shape != (n,) or clusters.dtype != torch.long:
        raise ValueError(
            f"clusters must be ({n},) of torch.int64, got {tuple(clusters.shape)} of "
            f"{clusters.dtype}"
        )
    if n and not 0 <= int(clusters.min()) <= int(clusters.max()) < k:
        raise ValueError(
            f"clusters must be in 0..{k - 1}, got {int(clusters.min())}..{int(clusters.max())}"
        )


def _certainty(objective: AssignedError, steps: int) -> list[Schedule]:
    first = float(objective.certainty)
    if not first:
        return []
    falling = Halving(first, every=max(1, steps // STAGES), floor=LAST_CERTAINTY * first)
    return [ScheduledBuffer("certainty", objective.certainty, falling)]


def cluster_by_mixae(task: ClusteringTask, **how: Any) -> Trained:
    """Clusters of codes where there are any, then `fit_mixae`, whose settings are taken."""
    results: dict[str, FitResult] = {}
    model, _ = task.build(MixtureOfAutoencoders)
    start = task.labels
    if start is None and task.starts_from_codes:
        coder, results["autoencoder"] = task.pretrained(Autoencoder)
        _, start = task.centers(encode(coder, task.x))
    clusters = None if start is None else torch.as_tensor(start)
    results["clusters"] = fit_mixae(model, task.x, task.run(), clusters=clusters, **how)
    return Trained(model, start, results)
