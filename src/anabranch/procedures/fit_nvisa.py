"""How NVISA is started and trained: the Gaussian-mixture autoencoder of Li et al."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE, nvisa
from anabranch.objectives import LatentMixtureBound
from anabranch.procedures.codes_start import start_from_codes, teach_classifier
from anabranch.procedures.invariant_lessons import Lessons, teach
from anabranch.procedures.nvisa_options import NvisaOptions
from anabranch.procedures.stages import Stages
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitOptions, FitResult

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class NvisaRows:
    """What is trained on, where the model is.

    Attributes:
        x: (N, D).
        held_out: rows that judge, (M, D).
        targets: known labels (N, K), rows of zeros where unknown; None for none.
        clusters: of the rows, where they are known, (N, K); they take the place of those found.
        renew: writes rows anew before an epoch of that number, such as integers that are spread.
    """

    x: Tensor
    held_out: Tensor
    targets: Tensor | None = None
    clusters: Array | None = None
    renew: Callable[[Tensor, int], None] | None = None


def start_nvisa(
    model: GaussianMixtureVAE,
    rows: NvisaRows,
    options: FitOptions,
    *,
    seed: int,
    stages: Stages,
    lessons: Lessons | None = None,
) -> Labels:
    """Set a model to clusters: of its codes, of a q(y|x) that learns by itself, or known ones.

    Args:
        model: fresh; changed in place.
        rows: what is trained on.
        options: of the autoencoder, and of a q(y|x) that is taught.
        seed: of the row order and of all starts.
        stages: of the fit.
        lessons: how q(y|x) learns by itself; None where it does not.

    Returns:
        What the start says of the rows, (N,).
    """
    targets = None if rows.targets is None else rows.targets.double().cpu().numpy()
    given = rows.clusters
    if lessons is not None:
        given = teach(model.classifier, rows.x, lessons, seed, targets)
    random_state = np.random.RandomState(seed)
    classifier = stages.loop("classifier")
    R = start_from_codes(
        model,
        rows.x,
        targets=targets,
        responsibilities=given,
        options=options,
        random_state=random_state,
        loops=(stages.loop("autoencoder"), classifier),
    )
    if rows.clusters is not None:
        teach_classifier(model.classifier, rows.x, R, options, random_state, classifier)
    return R.argmax(1)


def fit_nvisa(objective: LatentMixtureBound, rows: NvisaRows, run: TrainingRun) -> FitResult:
    """Train a model from its start on.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing".

    Args:
        objective: of the model.
        rows: what is trained on.
        run: of the loop, with the annealing among its schedules.

    Returns:
        What the fit did; its best score is that of the state that is kept.

    Example:
        >>> import torch
        >>> from anabranch.models import nvisa
        >>> from anabranch.objectives import Enumerated
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> model = nvisa(3, 2, latent=2, hidden=[8], seed=0)
        >>> rows, options = NvisaRows(x, x[:16]), FitOptions(max_epochs=2, batch_size=32)
        >>> labels = start_nvisa(model, rows, options, seed=0, stages=Stages(None, resume=False))
        >>> fit_nvisa(LatentMixtureBound(model, Enumerated()), rows, TrainingRun(options)).steps
        4
    """
    data, renew = {"x": rows.x.clone()}, rows.renew
    if rows.targets is not None:
        data["targets"] = rows.targets
    on_epoch = None if renew is None else lambda epoch: renew(data["x"], epoch)
    return run.fit(objective, data, {"x": rows.held_out}, on_epoch=on_epoch)


def run_nvisa(
    how: NvisaOptions, rows: NvisaRows, n_components: int, seed: int, stages: Stages
) -> tuple[GaussianMixtureVAE, FitResult, Labels | None]:
    """A model from its own start, trained, and what the start says of the rows."""
    n, n_features = rows.x.shape
    recipe = how.recipe(n_features, n_components)
    model = nvisa(**recipe, seed=seed)  # pyright: ignore[reportArgumentType] - of plain values
    objective = how.objective(model, n_features, seed).to(rows.x.device)
    labels = None
    if how.start.name != "random":
        labels = start_nvisa(
            model,
            rows,
            how.start_options(n),
            seed=seed,
            stages=stages,
            lessons=how.lessons(objective.penalty, n_components, stages),
        )
    run = TrainingRun(
        how.options(n),
        torch.Generator().manual_seed(seed),
        torch.Generator(rows.x.device).manual_seed(seed),
        schedules=how.schedules(objective, model.floor, (n, n_features)),
        keep=how.optimisation.keep,
        loop=stages.loop("bound"),
    )
    return model, fit_nvisa(objective, rows, run), labels
