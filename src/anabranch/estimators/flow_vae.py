"""FlowVAE: a variational autoencoder with a flow as its posterior."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.algorithms.annealed_importance import AnnealedImportance
from anabranch.archive import Tree
from anabranch.estimators.checks import check_draws, check_shares
from anabranch.estimators.estimator import Json, ScoreKind, State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.groups import Group, read_group
from anabranch.estimators.identity import loop_identity
from anabranch.estimators.prepared import PreparedDensity
from anabranch.estimators.rows import Seed, split_rows
from anabranch.models import FlowVariationalAutoencoder, flow_vae
from anabranch.models.autoencoders.code_usage import code_usage
from anabranch.models.autoencoders.row_weights import (
    annealed_log_weights,
    importance_log_weights,
    sandwich,
)
from anabranch.models.specs import Spec
from anabranch.objectives import iwae
from anabranch.procedures.fit_flow_vae import BoundOptions, Coders, FlowVAEOptions, fit_flow_vae
from anabranch.procedures.optimisation import Optimisation
from anabranch.procedures.preparation import Preparation
from anabranch.training import FitResult

Array = NDArray[np.float64]
METHODS = ("importance", "annealed")


class RowBounds(NamedTuple):
    """Rows that a model has drawn, and bounds of their log-density, nats in the units of the data.

    Attributes:
        X: the rows, (n, D).
        importance: lower bounds as of ``score_samples``, (n,).
        lower: lower bounds by annealed importance sampling, (n,).
        upper: upper bounds by the same, backward, (n,).
    """

    X: Array
    importance: Array
    lower: Array
    upper: Array


class RowCodes(NamedTuple):
    """What the J numbers of a code tell of rows.

    Attributes:
        means: of the code of each row, (n, J).
        spread: variance of the means over the rows, (J,).
        divergence: what each number costs by itself, mean over rows in nats, (J,).
        total: what whole codes cost, KL(q(z|x) || p(z)), mean over rows in nats.
        active: whether a number varies with the row, a spread above 0.01, (J,).
    """

    means: Array
    spread: Array
    divergence: Array
    total: float
    active: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class FlowVAEPlan(FlowVAEOptions):
    """The settings of a `FlowVAE`, checked; see there."""

    training: ClassVar = {"patience": 10, "validation_fraction": 0.1, "weight_decay": 0.0}

    @classmethod
    def of(cls, estimator: "FlowVAE") -> Self:
        """The plan of an estimator."""
        params = estimator.get_params(deep=False)
        own: dict[str, Any] = {
            name: params[name] for name in cls.__dataclass_fields__ if name in params
        }
        for name, kind in (("model_options", Coders), ("objective", BoundOptions)):
            own[name] = read_group(name, own[name], kind)
        optimisation = Optimisation.of(
            estimator, automatic_rate=True, within=cls.training, identity=loop_identity(estimator)
        )
        return cls(**own, optimisation=optimisation)


class FlowVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, PreparedDensity):
    r"""A density by a latent code, whose posterior, prior and likelihood can be chosen.

    .. math:: p(x) = \int p(x \mid z)\, p(z)\, dz, \qquad
        \log p(x) \ge E_{q(z|x)} [\log p(x \mid z) + \log p(z) - \log q(z \mid x)]

    Real columns are standardised; shares in [0, 1], such as pixels, are taken as they are by
    ``likelihood="bernoulli"``. Rows that look alike have codes that lie together: ``transform``
    gives these codes, ``reconstruct`` what they tell of the rows, ``score_samples`` a bound of the
    log-density.

    Args:
        latent: J, size of a code.
        posterior: q(z|x): "diagonal", "copula", "planar", "radial", "iaf", "nice",
            "volume-preserving", "hamiltonian", "langevin", the recipe of another flow, or
            {"name": ..., keyword: value}.
        prior: p(z): "normal", "vampprior", or the recipe of a density such as "maf".
        likelihood: p(x|z): "gaussian", with one free standard deviation, or "bernoulli".
        hidden: hidden sizes of the encoder; the decoder has them in reverse.
        model_options: further parts of the networks, {"context": 64, "activation": "relu"}, see
            `anabranch.procedures.fit_flow_vae.Coders`.
        objective: the bound, {"draws": 1, "free_bits": 0.0, "warm_up": 0.0, "score_draws": 100},
            see `anabranch.procedures.fit_flow_vae.BoundOptions`.
        learning_rate: of AdamW; "auto" for 1e-3.
        batch_size: rows of a step, at most.
        max_epochs: upper limit.
        fit_options: rare settings of training, {"patience": 10, "validation_fraction": 0.1,
            "weight_decay": 0.0, "keep": "best"} and those of `anabranch.training.FitOptions`, such
            as "checkpoint"; with patience None all epochs are run, the rate falling along a cosine;
            "keep" is the "best" state on rows held out, or the "last".
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        lower_bound_: evidence lower bound of the rows held out, mean in nats and in the units of
            the data.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        model_: the `FlowVariationalAutoencoder`, in evaluation mode.
        preparation_: the fixed transform before it.

    Source: Kingma, Welling (2013), arXiv:1312.6114; Rezende, Mohamed (2015), arXiv:1505.05770;
    Kingma et al. (2016), arXiv:1606.04934; the scores: Burda et al. (2015), arXiv:1509.00519.

    Example:
        >>> from sklearn.datasets import make_blobs
        >>> X, _ = make_blobs(100, 6, random_state=0)
        >>> model = FlowVAE(2, posterior="planar", hidden=(16,), max_epochs=3, random_state=0)
        >>> model.fit_transform(X).shape, model.score_samples(X).shape, model.sample(3).shape
        ((100, 2), (100,), (3, 6))
    """

    reg_covar = 1e-6
    logit_alpha = 1e-6
    groups: ClassVar[Mapping[str, type]] = {
        "model_options": Coders,
        "objective": BoundOptions,
        "fit_options": dict,
    }
    score_kind: ClassVar[ScoreKind] = "bound"
    model_: FlowVariationalAutoencoder

    def __init__(
        self,
        latent: int = 10,
        *,
        posterior: Spec = "iaf",
        prior: Spec = "normal",
        likelihood: str = "gaussian",
        hidden: Sequence[int] = (500, 500),
        model_options: Group | None = None,
        objective: Group | None = None,
        learning_rate: float | str = "auto",
        batch_size: int = 128,
        max_epochs: int = 200,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.latent = latent
        self.posterior = posterior
        self.prior = prior
        self.likelihood = likelihood
        self.hidden = hidden
        self.model_options = model_options
        self.objective = objective
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False) -> Self:
        """Train the model.

        Args:
            X: (n, D) array or frame.
            y: ignored; labels, with -1 where unknown, are as welcome as none.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
            TypeError: for a keyword that a posterior or prior does not have.
        """
        X = self._validated(X, reset=True)
        plan = FlowVAEPlan.of(self)
        state = check_random_state(self.random_state)
        share = plan.optimisation.validation_fraction
        rows, held_out = split_rows(len(X), None, share, state)
        seed = int(state.randint(2**30 - 1))
        recipe: Any = plan.recipe(X.shape[1])
        model = flow_vae(**recipe, seed=seed).to(self._device)
        self._prepare(X[rows], seed)
        train = self._rows(X[rows], None, state)
        judged = self._rows(X[held_out if len(held_out) else rows], None, state)
        result = fit_flow_vae(
            model,
            train.z.to(self._device),
            judged.z.to(self._device),
            plan,
            seed=seed,
            resume=resume,
        )
        self._keep(model, result)
        return self

    def _keep(self, model: FlowVariationalAutoencoder, result: FitResult) -> None:
        self._keep_run(model, result)
        # the preparation is affine: what it adds is the same for all rows
        term = self.preparation_.encode(np.zeros((1, self.n_features_in_)))[1]
        self.lower_bound_ += float(term)

    def _prepare(self, X: Array, seed: int) -> None:
        if self._shares:
            self.constant_ = np.zeros(X.shape[1], bool)
            self.preparation_ = self._blank_preparation(X.shape[1])
        else:
            super()._prepare(X, seed)

    def _blank_preparation(self, n_features: int) -> Preparation:
        preparation = Preparation.empty(n_features, levels=None, alpha=0.0)
        return Preparation(preparation.transform.eval())

    @property
    def _shares(self) -> bool:
        """Whether rows are bits or shares, which are taken as they are."""
        return self.likelihood == "bernoulli"

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        super()._check_values(X, columns, reset=reset)
        if self._shares:
            check_shares(X, columns)

    # -- using -----------------------------------------------------------------------------------

    @torch.no_grad()
    def transform(self, X: ArrayLike) -> Array:
        """Codes of rows, (n, J): where the posterior takes the mean of its base."""
        return self._by_row(self._precise().encode, X)

    @torch.no_grad()
    def reconstruct(self, X: ArrayLike) -> Array:
        """Means of p(x|z) at the codes of rows, (n, D), in the units of the data."""
        model = self._precise()
        return self._told(self._by_row(lambda x: model.decode(model.encode(x)), X))

    @torch.no_grad()
    def code_usage(self, X: ArrayLike, *, n_draws: int = 64, random_state: Seed = None) -> RowCodes:
        """How much of a code is used: which numbers are active, and what each of them costs.

        Args:
            X: (n, D) array or frame.
            n_draws: of the code of each row, at least 2.
            random_state: by default that of the estimator.

        Raises:
            ValueError: for fewer than two draws.
        """
        model, source = self._precise(), self._source(random_state)
        x = torch.cat([rows.z.double() for rows in self._batches(X)])
        found = code_usage(model, x, n_draws, source)
        means, spread, divergence = (each.cpu().numpy() for each in found[:3])
        return RowCodes(means, spread, divergence, float(found.total), found.active.cpu().numpy())

    @torch.no_grad()
    def inverse_transform(self, X: ArrayLike) -> Array:
        """Means of p(x|z) at codes (n, J), (n, D), in the units of the data."""
        check_is_fitted(self)
        z = torch.as_tensor(np.asarray(X, dtype=np.float64), device=self._device)
        if z.ndim != 2 or z.shape[1] != self._n_features_out:
            raise ValueError(
                f"codes must have shape (n, {self._n_features_out}), got {tuple(z.shape)}"
            )
        return self._told(self._precise().decode(z).cpu().numpy())

    def score_samples(
        self, X: ArrayLike, *, method: str = "importance", temperatures: int = 100
    ) -> Array:
        """A lower bound of log p(x), in nats and in the units of X, (n,).

        Of ``objective.score_draws`` draws of z: its mean is at most the log-density, and rises with
        the draws. The same noise serves all rows and calls; how far a bound can be trusted,
        `effective_sample_size` and `sandwich` tell.

        Args:
            X: (n, D) array or frame.
            method: "importance", draws from q(z|x); or "annealed", chains from the prior to the
                posterior of each row, which need no good q and cost a few gradients of the decoder
                at each temperature.
            temperatures: of the chains; the more, the tighter the bound.

        Raises:
            ValueError: for another method, or fewer than one temperature.
        """
        return self._of_weights(iwae, X, method, temperatures, units=True)

    def effective_sample_size(
        self, X: ArrayLike, *, method: str = "importance", temperatures: int = 100
    ) -> Array:
        r"""How many of the draws count in the score of each row, a share in (0, 1], (n,).

        .. math:: \frac{(\sum_m w_m)^2}{M \sum_m w_m^2}

        One for a posterior that is exact; where it is next to nothing, the bound is loose.
        Arguments and errors are those of ``score_samples``.
        """
        return self._of_weights(_effective_share, X, method, temperatures, units=False)

    def sandwich(
        self, n_samples: int = 100, *, temperatures: int = 100, random_state: Seed = None
    ) -> RowBounds:
        """Rows drawn from the model, with bounds of their log-density from below and above.

        What ``score_samples`` lacks on them, is at most ``upper - importance`` in the mean.

        Args:
            n_samples: how many rows.
            temperatures: of the chains; the more, the closer are lower and upper bound.
            random_state: by default that of the estimator.

        Raises:
            ValueError: for fewer than one temperature.
        """
        check_is_fitted(self)
        check_draws(n_samples)
        found = sandwich(
            self._precise(),
            n_samples,
            self._score_draws,
            AnnealedImportance(temperatures),
            self._source(random_state),
        )
        x = self._told(found.x.cpu().numpy())
        term = self.preparation_.encode(x)[1].double().to(self._device)
        bounds = ((bound + term).cpu().numpy() for bound in found[1:])
        return RowBounds(x, *bounds)

    def sample(self, n_samples: int = 1, *, random_state: Seed = None) -> Array:
        """Draw rows.

        Args:
            n_samples: how many.
            random_state: by default that of the estimator, so that an integer repeats the draws.

        Returns:
            (n_samples, D).
        """
        check_is_fitted(self)
        check_draws(n_samples)
        x = self.model_.sample(n_samples, self._source(random_state))
        return self._told(x.cpu().numpy())

    def sample_codes(self, n_samples: int = 1, *, random_state: Seed = None) -> Array:
        """Draw codes of the prior, (n_samples, J), of which ``inverse_transform`` makes rows.

        Args:
            n_samples: how many.
            random_state: by default that of the estimator.
        """
        check_is_fitted(self)
        check_draws(n_samples)
        source = self._source(random_state)
        return self.model_.prior.sample(n_samples, generator=source).double().cpu().numpy()

    def _of_weights(
        self,
        of: Callable[[Tensor], Tensor],
        X: ArrayLike,
        method: str,
        temperatures: int,
        *,
        units: bool,
    ) -> Array:
        """A function of log-weights (M, n), (n,), with the term of the preparation for units."""
        model, draws = self._precise(), self._score_draws
        annealing = AnnealedImportance(temperatures)
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        found: list[Tensor] = []
        for rows in self._batches(X):
            x = rows.z.double()
            if method == "annealed":
                weights = annealed_log_weights(model, x, draws, annealing)
            else:
                weights = importance_log_weights(model, x, draws)
            term = rows.term.double().to(self._device) if units else 0.0
            found.append(of(weights) + term)
        return torch.cat(found).cpu().numpy()

    @property
    def _score_draws(self) -> int:
        return read_group("objective", self.objective, BoundOptions).score_draws

    def _source(self, random_state: Seed) -> torch.Generator:
        given = self.random_state if random_state is None else random_state
        seed = int(check_random_state(given).randint(2**31 - 1))
        return torch.Generator(self._device).manual_seed(seed)

    def _by_row(self, of: Callable[[Tensor], Tensor], X: ArrayLike) -> Array:
        return torch.cat([of(rows.z.double()) for rows in self._batches(X)]).cpu().numpy()

    def _told(self, x: Array) -> Array:
        """Rows of the model in the units of the data."""
        return self.preparation_.decode(torch.as_tensor(x))

    def _precise(self) -> FlowVariationalAutoencoder:
        """The model in float64, in which what a row gets does not depend on the rows beside it."""
        check_is_fitted(self)
        return copy.deepcopy(self.model_).double()

    def _n_parameters(self) -> int:
        """Numbers of the density: prior and decoder."""
        parts = (self.model_.prior, self.model_.decoder)
        return sum(p.numel() for part in parts for p in part.parameters())

    @property
    def _n_features_out(self) -> int:
        return self.latent

    # -- what it says of itself ------------------------------------------------------------------

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        return super().facts() | {"score_is": "validation bound", "latent": self.latent}

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        return super().state()

    def _restore(self, state: State) -> None:
        super()._restore(state)
        self._keep(module_from(state["model"]), FitResult(**state["result"]))


def _effective_share(log_weights: Tensor) -> Tensor:
    """Effective sample size of weights along the first axis, as a share of them."""
    total, squares = log_weights.logsumexp(0), (2 * log_weights).logsumexp(0)
    return torch.exp(2 * total - squares) / len(log_weights)
