"""FlowVAE: a variational autoencoder with a flow as its posterior."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.estimators.checks import check_draws, check_shares
from anabranch.estimators.estimator import Json, ScoreKind, State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.groups import Group, read_group
from anabranch.estimators.identity import loop_identity
from anabranch.estimators.prepared import PreparedDensity
from anabranch.estimators.rows import Seed, split_rows
from anabranch.models import FlowVariationalAutoencoder, flow_vae
from anabranch.models.specs import Spec
from anabranch.objectives import iwae
from anabranch.procedures.fit_flow_vae import BoundOptions, Coders, FlowVAEOptions, fit_flow_vae
from anabranch.procedures.optimisation import Optimisation
from anabranch.procedures.preparation import Preparation
from anabranch.training import FitResult

Array = NDArray[np.float64]


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
        model = flow_vae(**recipe, seed=seed).to(self.device)
        self._prepare(X[rows], seed)
        train = self._rows(X[rows], None, state)
        judged = self._rows(X[held_out if len(held_out) else rows], None, state)
        result = fit_flow_vae(
            model,
            train.z.to(self.device),
            judged.z.to(self.device),
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
    def inverse_transform(self, X: ArrayLike) -> Array:
        """Means of p(x|z) at codes (n, J), (n, D), in the units of the data."""
        check_is_fitted(self)
        z = torch.as_tensor(np.asarray(X, dtype=np.float64), device=self.device)
        if z.ndim != 2 or z.shape[1] != self._n_features_out:
            raise ValueError(
                f"codes must have shape (n, {self._n_features_out}), got {tuple(z.shape)}"
            )
        return self._told(self._precise().decode(z).cpu().numpy())

    def score_samples(self, X: ArrayLike) -> Array:
        """A lower bound of log p(x), in nats and in the units of X, (n,).

        The importance-weighted bound of ``objective.score_draws`` draws of z: its mean is at most
        the log-density, and rises with the draws. The same noise serves all rows and calls; how far
        a bound can be trusted, `effective_sample_size` tells.
        """
        scores = [iwae(weights) + term for weights, term in self._log_weights(X)]
        return torch.stack(scores).cpu().numpy()

    def effective_sample_size(self, X: ArrayLike) -> Array:
        r"""How many of the draws count in the score of each row, a share in (0, 1], (n,).

        .. math:: \frac{(\sum_m w_m)^2}{M \sum_m w_m^2}, \qquad w_m = p(x, z_m) / q(z_m \mid x)

        One for a posterior that is exact; where it is next to nothing, the bound is loose.
        """
        shares = [
            torch.exp(2 * weights.logsumexp(0) - (2 * weights).logsumexp(0)) / len(weights)
            for weights, _ in self._log_weights(X)
        ]
        return torch.stack(shares).cpu().numpy()

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
        given = self.random_state if random_state is None else random_state
        seed = int(check_random_state(given).randint(2**31 - 1))
        x = self.model_.sample(n_samples, torch.Generator(self.device).manual_seed(seed))
        return self._told(x.cpu().numpy())

    @torch.no_grad()
    def _log_weights(self, X: ArrayLike) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each row, log p(x, z) - log q(z|x) of all draws, and the term of the preparation.

        Rows come one by one, so that what a row gets does not depend on the rows beside it.
        """
        model = self._precise()
        draws = read_group("objective", self.objective, BoundOptions).score_draws
        for rows in self._batches(X):
            terms = rows.term.double().to(self.device)
            for row, term in zip(rows.z.double(), terms, strict=True):
                source = torch.Generator(self.device).manual_seed(0)
                reconstruction, divergence = model.terms(row[None], draws, source)
                yield (reconstruction - divergence).squeeze(1), term

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
