"""How a latent tree variational autoencoder is started and trained."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from anabranch.algorithms.trees.axes import search_turned
from anabranch.algorithms.trees.search import climb, single_start
from anabranch.algorithms.trees.stepwise_em import StepwiseEM, TreeStatistics, tree_em
from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions.latent_tree import LatentTree
from anabranch.functional.draws import normal_draws
from anabranch.models.autoencoders.autoencoder import Autoencoder
from anabranch.models.autoencoders.ltvae import LatentTreeVAE
from anabranch.objectives.variational_bound import bound_loss, latent_noise
from anabranch.procedures.cluster_watch import PART, log_responsibilities
from anabranch.procedures.clustering_task import ClusteringTask, Trained, encode, error_of
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult, Schedule

Array = NDArray[np.float64]
# Added to the variances of codes, which are scaled to a variance of about one.
REG_COVAR = 1e-3
# Rows that a structure is searched on.
SEARCHED_ROWS = 2000
# Of the independent component analyses that a search starts from.
CONTRASTS = ("logcosh", "exp")


class TreeBound(Objective):
    """Minus the bound of an LTVAE, mean over rows, in nats; it remembers the codes it has drawn.

    As `anabranch.objectives.VariationalBound`, with the same draws.

    Args:
        model: whose bound it is.

    Attributes:
        drawn: the codes (N, J) of the last batch in training.

    Batches are dicts with ``x`` (N, D).

    Example:
        >>> from anabranch.models import ltvae
        >>> objective = TreeBound(ltvae(3, n_components=2, latent=2, hidden=[8], seed=0))
        >>> sorted(objective({"x": torch.zeros(5, 3)}).terms), objective.drawn.shape
        (['divergence', 'reconstruction'], torch.Size([5, 2]))
    """

    stochastic = True

    def __init__(self, model: LatentTreeVAE) -> None:
        super().__init__()
        self.model, self.drawn = model, torch.empty(0)

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """Minus the bound of a batch."""
        x = batch["x"]
        z, log_scale = self.model.draw(x, latent_noise(self, x, self.model.noise_size, generator))
        if self.training:
            self.drawn = z.detach()
        return bound_loss(*self.model.terms_at(x, z, log_scale))


class FollowingTree(Schedule):
    """Keeps the tree of a model with the codes that are drawn in training, by stepwise EM.

    In the history, ``tree`` is the number of batches that were taken in.

    Args:
        objective: which draws the codes.
        em: the running averages, which change the prior of the model.
    """

    name = "tree"

    def __init__(self, objective: TreeBound, em: StepwiseEM) -> None:
        self.objective, self.em, self.value = objective, em, 0.0

    def on_step(self, step: int) -> None:
        """Take in the codes of the step before."""
        drawn = self.objective.drawn
        if len(drawn) and bool(torch.isfinite(drawn).all()):
            self.em.step(drawn)
            self.value += 1

    def state_dict(self) -> dict[str, Any]:
        """The averages, and the codes that are still to be taken in."""
        averages = dict(vars(self.em.statistics))
        return {"value": self.value, "drawn": self.objective.drawn, "averages": averages}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore them."""
        device = next(self.objective.parameters()).device
        self.value, self.objective.drawn = state["value"], state["drawn"].to(device)
        averages = {name: [t.to(device) for t in ts] for name, ts in state["averages"].items()}
        self.em.statistics = TreeStatistics(**averages)


def white_axes(codes: Array) -> tuple[Array, Array]:
    """A centre (J,) and a matrix (J, J) that make codes (N, J) white.

    Directions that hardly vary are not blown up.
    """
    covariance = np.atleast_2d(np.cov(codes.T, bias=True))
    variances, directions = np.linalg.eigh(covariance)
    least = REG_COVAR * variances.mean() + 1e-12
    return codes.mean(0), directions / np.sqrt(np.maximum(variances, least))


def independent_axes(
    white: Array, random_state: np.random.RandomState, contrast: str = "logcosh"
) -> Array:
    """A rotation (J, J) that makes the features of white rows least dependent on each other.

    An autoencoder may turn its codes as it likes, while a tree speaks of single ones: the axes are
    turned to those of independent component analysis. What depends on one hidden variable then
    tends to lie on axes of its own.

    Source: Hyvärinen, Oja (2000), "Independent component analysis: algorithms and applications";
    for groups of components: Cardoso (1998), "Multidimensional independent component analysis".

    Args:
        white: (N, J).
        random_state: source of its start.
        contrast: "logcosh", "exp" or "cube".

    Example:
        >>> sources = np.random.RandomState(0).uniform(-1, 1, (2000, 2))
        >>> mixed = sources @ np.array([[1.0, 0.5], [0.2, 1.0]])
        >>> centre, matrix = white_axes(mixed)
        >>> white = (mixed - centre) @ matrix
        >>> found = white @ independent_axes(white, np.random.RandomState(0))
        >>> np.abs(np.corrcoef(sources.T, found.T)[:2, 2:]).max(1).round(2)
        array([1., 1.])
    """
    search = FastICA(
        whiten=False,  # pyright: ignore[reportArgumentType] - the stub knows names only
        max_iter=500,
        tol=1e-3,
        fun=contrast,
        random_state=random_state,
    )
    with warnings.catch_warnings():
        # the axes it has come to are as good as any others, where none are independent
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = search.fit(white)
    # as near as it gets to a rotation, where the rows are not quite white
    left, _, right = np.linalg.svd(found.components_)
    return (left @ right).T


def start_ltvae(
    model: LatentTreeVAE,
    coder: Autoencoder,
    x: Tensor,
    *,
    error: float = 1.0,
    n_components: int = 10,
    n_init: int | None = None,
    random_state: np.random.RandomState | None = None,
) -> None:
    """Take over an autoencoder, and a latent tree of its codes.

    The codes are made white and turned, without a change of any reconstruction. The structure is
    searched: the best tree and axes that `anabranch.algorithms.trees.search_turned` finds from
    several `independent_axes`, and from facets whose means add up. With ``n_init`` it is one
    variable over the `independent_axes`, a mixture of full Gaussians.

    Args:
        model: with the sizes of the autoencoder; changed in place, its structure included.
        coder: a trained `anabranch.models.autoencoder`.
        x: (N, D).
        error: mean squared error per feature of the autoencoder.
        n_components: states of the one variable, or most states of any.
        n_init: starts of the mixture; None for a search.
        random_state: source of all starts.

    Raises:
        ValueError: for a search with fewer than two states, or too few distinct codes.
    """
    if n_init is None and n_components < 2:
        raise ValueError(f"n_components must be at least 2 for a search, got {n_components}")
    random_state = np.random.RandomState() if random_state is None else random_state
    white, centre, matrix = _white(coder, x, random_state)
    if n_init is None:
        tree, rotation = searched_tree(white, n_components, random_state)
    else:
        rotation = torch.as_tensor(independent_axes(white.numpy(), random_state))
        how = {"full": True, "n_init": n_init, "reg_covar": REG_COVAR}
        tree = single_start(white @ rotation, n_components, **how, random_state=random_state)
    model.start_from(coder, error, tree, centre, matrix @ rotation)


@torch.no_grad()
def _white(
    coder: Autoencoder, x: Tensor, random_state: np.random.RandomState
) -> tuple[Tensor, Tensor, Tensor]:
    """White codes of rows in random order, and the centre and the matrix that make them."""
    codes = torch.cat([coder.encode(part) for part in x.split(PART)]).double().cpu()
    centre, matrix = map(torch.as_tensor, white_axes(codes.numpy()))
    white = (codes - centre) @ matrix
    return white[torch.as_tensor(random_state.permutation(len(codes)))], centre, matrix


def searched_tree(
    white: Tensor, max_states: int, random_state: np.random.RandomState
) -> tuple[LatentTree, Tensor]:
    """A tree, and the rotation (J, J) of white codes that it is over."""
    rows = white.numpy()
    starts = [torch.as_tensor(independent_axes(rows, random_state, c)) for c in CONTRASTS]
    limits = {"max_states": max_states, "reg_covar": REG_COVAR}
    found = search_turned(white[:SEARCHED_ROWS], starts, **limits, random_state=random_state)
    tree_em(found.search.tree, white @ found.matrix, reg_covar=REG_COVAR)
    return found.search.tree, found.matrix


def fit_ltvae(
    model: LatentTreeVAE,
    x: Tensor,
    held_out: Tensor,
    run: TrainingRun,
    *,
    max_states: int | None = None,
    rounds: int = 2,
    eta: float = 0.05,
) -> FitResult:
    """Train networks and tree by turns: gradients, stepwise EM, and a search of the structure.

    In each round the networks are trained by the bound, while the tree follows the codes by
    stepwise EM; the round ends in the state with the best bound on held-out rows. Before a round,
    the tree is fitted to the codes of all rows, and with ``max_states`` it may make any number of
    moves that raise its score. So the networks are always trained under a tree that fits.

    Source: Li, Chen, Poon, Zhang (2019), arXiv:1803.05206.

    Args:
        model: after `start_ltvae`.
        x: (N, D).
        held_out: (M, D).
        run: of the loop; its epochs are shared by the rounds. Its ``generator`` is the source of
            the row order and of the codes that the tree is fitted to.
        max_states: most states of a variable where the structure may change; None where not.
        rounds: how often.
        eta: weight of a batch in the averages of stepwise EM.

    Returns:
        What the fits did; the history tells the epochs of all rounds, and scores are those of the
        last round.

    Raises:
        ValueError: for fewer than one round.

    Example:
        >>> from anabranch.models import autoencoder, ltvae
        >>> from anabranch.training import FitOptions
        >>> x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        >>> coder = autoencoder(3, latent=2, hidden=[8], seed=0)
        >>> model = ltvae(3, n_components=2, latent=2, hidden=[8], seed=0)
        >>> random_state = np.random.RandomState(0)
        >>> start_ltvae(model, coder, x, n_components=2, n_init=10, random_state=random_state)
        >>> run = TrainingRun(FitOptions(max_epochs=2, batch_size=32))
        >>> fit_ltvae(model, x, x[:16], run).steps
        4
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    generator = torch.Generator() if run.generator is None else run.generator
    run = replace(run, generator=generator)
    epochs = [len(part) for part in np.array_split(range(run.options.max_epochs), rounds)]
    objective, total = TreeBound(model), FitResult()
    for number in range(rounds):
        em = _fitted_tree(model, x, generator, eta, max_states)
        part = run.with_options(max_epochs=epochs[number]).fit(
            objective, {"x": x}, {"x": held_out}, schedules=[FollowingTree(objective, em)]
        )
        total = _joined(total, part)
        if total.stopped == "diverged":
            break
    return total


@torch.no_grad()
def choose_facet(model: LatentTreeVAE, x: Tensor, n_components: int) -> int:
    """Let ``responsibilities`` speak of one variable of the tree, and tell which.

    Among those of ``n_components`` states, or among all where none has so many, it is the one that
    the mean codes tell most about. No labels are looked at.

    Args:
        model: changed in place.
        x: (N, D) rows.
        n_components: the number of clusters that is wanted.
    """
    codes = torch.cat([model.encode(part) for part in x.split(PART)])
    information, states = model.prior.information(codes), model.prior.structure.states
    wanted = torch.tensor([k == n_components for k in states], device=information.device)
    if bool(wanted.any()):
        information = torch.where(wanted, information, -torch.inf)
    model.facet.fill_(int(information.argmax()))
    return int(model.facet)


def _fitted_tree(
    model: LatentTreeVAE,
    x: Tensor,
    generator: torch.Generator,
    eta: float,
    max_states: int | None,
) -> StepwiseEM:
    """Fit the tree of a model to draws of the codes, and begin the averages with them."""
    with torch.no_grad():
        codes = torch.cat([_drawn(model, part, generator) for part in x.split(PART)])
    z = codes[torch.randperm(len(codes), generator=generator).to(codes.device)].double().cpu()
    reg_covar = REG_COVAR * float(z.var(0).mean())
    tree = model.prior.cpu().double()
    if max_states is not None:
        limits = {"max_states": max_states, "reg_covar": reg_covar}
        tree = climb(tree, z[:SEARCHED_ROWS], **limits).tree
    tree_em(tree, z, reg_covar=reg_covar)
    model.prior.to(codes)
    model.set_prior(tree)
    return StepwiseEM(model.prior, codes, eta=eta, reg_covar=reg_covar)


def _drawn(model: LatentTreeVAE, x: Tensor, generator: torch.Generator) -> Tensor:
    """A code of each row, from a source on the CPU."""
    noise = normal_draws((len(x), model.noise_size), x.cpu(), generator)
    return model.draw(x, noise.to(x.device))[0]


def _joined(before: FitResult, after: FitResult) -> FitResult:
    """The later result, with the history and the counts of both."""
    epoch = before.history[-1]["epoch"] if before.history else 0
    moved = [
        {**e, "epoch": epoch + e["epoch"], "step": before.steps + e["step"]} for e in after.history
    ]
    return replace(
        after,
        history=[*before.history, *moved],
        best_epoch=int(epoch) + after.best_epoch,
        steps=before.steps + after.steps,
        skipped_steps=before.skipped_steps + after.skipped_steps,
        rollbacks=before.rollbacks + after.rollbacks,
        seconds=before.seconds + after.seconds,
    )


def cluster_by_ltvae(
    task: ClusteringTask, *, rounds: int, eta: float, n_init: int | None = None
) -> Trained:
    """A tree that is searched, or with ``n_init`` one variable over the codes, then `fit_ltvae`.

    The one variable begins with a mixture that has so many starts.
    """
    k = task.n_components
    coder, result = task.pretrained(Autoencoder)
    task.distinct(encode(coder, task.x))
    model, noise = task.build(LatentTreeVAE)
    source = np.random.RandomState(task.seed)
    how = {"error": error_of(result), "n_components": k, "n_init": n_init}
    start_ltvae(model, coder, task.train, **how, random_state=source)
    choose_facet(model, task.x, k)
    start = log_responsibilities(model, task.x).argmax(0).cpu().numpy()
    clusters = fit_ltvae(
        model,
        task.train,
        task.held_out,
        task.run(noise),
        max_states=k if n_init is None else None,
        rounds=rounds,
        eta=eta,
    )
    choose_facet(model, task.x, k)
    return Trained(model, start, {"autoencoder": result, "clusters": clusters})
