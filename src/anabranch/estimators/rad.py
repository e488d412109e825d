"""RAD: clusters as the discrete code of one flow with folds."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from anabranch.archive import Tree
from anabranch.distributions import Flow
from anabranch.estimators.counting import free_parameters
from anabranch.estimators.estimator import State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.prepared import PreparedEstimator
from anabranch.estimators.rows import Rows
from anabranch.estimators.trainer import fit_options
from anabranch.models import rad
from anabranch.objectives import Likelihood
from anabranch.training import FitResult, ReduceOnPlateau, fit
from anabranch.transforms import fold_codes

Array = NDArray[np.float64]
# Draws of whole samples, at most, in search of rows of one component.
MAX_ROUNDS = 200


class RAD(PreparedEstimator):
    r"""One flow with folds, whose branches are the clusters.

    .. math:: p(x) = p_Z(f(x)) \prod_l p(k_l(x) \mid z_l)\, |\det|

    Each fold lays two or three pieces of the space over each other; the pieces that all folds cut
    out together are the clusters, numbered by their mass. A point lies in exactly one of them, so
    that probabilities are 0 or 1. The number of clusters is found: at most 2 or 3 to the power of
    ``n_folds``.

    Args:
        n_folds: folds.
        fold: "absolute" for two branches each, "tri" for three.
        n_between: couplings between two folds.
        n_last: couplings behind the last fold.
        hidden: hidden sizes of the couplings' networks.
        min_share: pieces that hold a smaller share of the training rows are no clusters of their
            own; their points go to the cluster whose code differs in the fewest folds.
        n_init: starts, each trained; the best on validation rows is kept.
        reg_covar: variance given to constant columns, in units of the standardised columns.
        learning_rate: of AdamW; "auto" for 5e-3, and less for fewer than two thousand rows.
        weight_decay: of AdamW.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        max_epochs: upper limit.
        patience: evaluations without improvement before a run stops.
        validation_fraction: share of rows held out to choose the best state.
        fit_options: further settings of `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        n_components_: clusters found.
        codes_: (K, n_folds) the branches of each cluster.
        weights_: (K,) shares of the training rows.
        lower_bound_: best validation score, mean log-density in nats.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        model_: the `Flow`, in evaluation mode.
        preparation_: the fixed transform before it.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), "A RAD approach to deep mixture
    models", arXiv:1903.07714.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, _ = make_moons(200, noise=0.05, random_state=0)
        >>> model = RAD(n_folds=2, max_epochs=3, random_state=0).fit(X)
        >>> model.predict(X).shape, model.score_samples(X).shape
        ((200,), (200,))
    """

    inference = "exact"  # what the settings of the loop ask for
    logit_alpha = 1e-6

    def __init__(
        self,
        n_folds: int = 3,
        *,
        fold: str = "absolute",
        n_between: int = 2,
        n_last: int = 4,
        hidden: Sequence[int] = (32,),
        min_share: float = 0.01,
        n_init: int = 1,
        reg_covar: float = 1e-6,
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        batch_size: int = 512,
        max_epochs: int = 300,
        patience: int = 20,
        validation_fraction: float = 0.1,
        fit_options: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_folds = n_folds
        self.fold = fold
        self.n_between = n_between
        self.n_last = n_last
        self.hidden = hidden
        self.min_share = min_share
        self.n_init = n_init
        self.reg_covar = reg_covar
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "RAD":
        """Fit the flow, and number its pieces.

        Args:
            X: (n, D) array or frame.
            y: ignored.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
        """
        X = self._validated(X, reset=True)
        self._check_settings()
        fit_options(self, len(X))  # pyright: ignore[reportArgumentType] - reads the shared settings
        state = check_random_state(self.random_state)
        rows, held_out = self._split(len(X), None, state)
        seed = int(state.randint(2**30 - 1))
        self._prepare(X[rows], seed)
        train = self._rows(X[rows], None, state)
        validation = self._rows(X[held_out] if len(held_out) else X[rows], None, state)
        runs = [self._run(train, validation, seed + i) for i in range(self.n_init)]
        self._keep(*min(runs, key=lambda run: run[1].best_score))
        self._number(train.z)
        return self

    def predict_proba(self, X: Any, *, method: str | None = None) -> Array:
        """The cluster of each row as probabilities of 0 and 1, (n, K)."""
        self._check_exact(method)
        labels = [self._labels(rows.z) for rows in self._batches(X)]
        return np.eye(self.n_components_)[np.concatenate(labels)]

    def score_samples(self, X: Any) -> Array:
        """Log-density of each row, in nats and in the units of X, (n,)."""
        parts = [self._log_prob(rows.z).cpu() + rows.term for rows in self._batches(X)]
        return torch.cat(parts).numpy()

    def _check_settings(self) -> None:
        for name in ("n_folds", "n_init"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must be in (0, 1), got {self.validation_fraction}"
            )
        if not 0 <= self.min_share < 1:
            raise ValueError(f"min_share must be in [0, 1), got {self.min_share}")
        if not self.reg_covar > 0:
            raise ValueError(f"reg_covar must be positive, got {self.reg_covar}")

    def _run(self, train: Rows, validation: Rows, seed: int) -> tuple[Flow, FitResult]:
        """A flow from its own start, trained."""
        flow: Any = rad(
            train.z.shape[1],
            n_folds=int(self.n_folds),
            fold=self.fold,
            n_between=self.n_between,
            n_last=self.n_last,
            hidden=list(self.hidden),
            seed=seed,
        )
        flow.transform.initialize(train.z)
        result = fit(
            Likelihood(flow.to(self.device)),
            train.batch(self.device),
            validation.batch(self.device),
            options=fit_options(self, len(train.z)),  # pyright: ignore[reportArgumentType]
            schedules=[ReduceOnPlateau(patience=max(self.patience // 2 - 2, 1))],
            generator=torch.Generator().manual_seed(seed),
        )
        return flow, result

    def _keep(self, flow: Flow, result: FitResult) -> None:
        self.model_: Any = flow.eval()
        self.fit_result_ = result
        self.history_ = result.history
        self.lower_bound_ = -result.best_score
        self.converged_ = result.stopped == "patience"
        self.n_iter_ = int(result.history[-1]["epoch"])

    def _number(self, z: Tensor) -> None:
        """Number the codes of the training rows by mass."""
        codes, counts = np.unique(self._codes(z), axis=0, return_counts=True)
        large = counts >= min(self.min_share * len(z), counts.max())
        order = np.argsort(-counts[large], kind="stable")
        self.codes_ = codes[large][order]
        self.n_components_ = len(order)
        shares = np.bincount(self._labels(z), minlength=self.n_components_)
        self.weights_ = shares / shares.sum()

    @torch.no_grad()
    def _codes(self, z: Tensor) -> NDArray[np.int64]:
        return fold_codes(self.model_.transform, z.to(self.device)).cpu().numpy()

    def _labels(self, z: Tensor) -> NDArray[np.int64]:
        """The cluster with the nearest code, the larger one where two are as near."""
        differs = self._codes(z)[:, None] != self.codes_
        return differs.sum(-1).argmin(1)

    @torch.no_grad()
    def _log_prob(self, z: Tensor) -> Tensor:
        """In float64; rows that overflow float32 are done again in float64."""
        log_prob = self.model_.log_prob(z).double()
        overflow = ~torch.isfinite(log_prob)
        if bool(overflow.any()):
            precise = copy.deepcopy(self.model_).double()
            log_prob[overflow] = precise.log_prob(z[overflow].double())
        return log_prob

    def _draw(
        self, n: int, component: int | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        if component is None:
            z = self.model_.sample(n, generator=generator)
            return z, torch.as_tensor(self._labels(z))
        return self._draws_of(n, component, generator), torch.full((n,), component)

    def _draws_of(self, n: int, component: int, generator: torch.Generator) -> Tensor:
        found: list[Tensor] = []
        for _ in range(MAX_ROUNDS):
            z = self.model_.sample(max(4 * n, 1000), generator=generator)
            found.append(z[torch.as_tensor(self._labels(z) == component, device=z.device)])
            if sum(map(len, found)) >= n:
                return torch.cat(found)[:n]
        raise ValueError(f"component {component} has next to no mass in the model: none to draw")

    def _n_parameters(self) -> int:
        return free_parameters(self.model_)

    # -- what it says of itself ------------------------------------------------------------------

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        codes, weights = torch.as_tensor(self.codes_), torch.as_tensor(self.weights_)
        return super().state() | {"codes": codes, "weights": weights}

    def _restore(self, state: State) -> None:
        super()._restore(state)
        self._keep(module_from(state["model"]), FitResult(**state["result"]))
        self.codes_, self.weights_ = state["codes"].numpy(), state["weights"].numpy()
        self.n_components_ = len(self.codes_)
