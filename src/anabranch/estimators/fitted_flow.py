"""What a fitted flow answers: densities, draws, latents, and what its file holds."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.estimators.checks import check_draws, column_names
from anabranch.estimators.conditions import Conditions
from anabranch.estimators.curved import blank_curved, bounded_part
from anabranch.estimators.estimator import Json, State
from anabranch.estimators.fitted import module_from
from anabranch.estimators.prepared import PreparedDensity
from anabranch.estimators.programs import CHECKED, DensityScores, Prepared, Program
from anabranch.estimators.rows import Seed, check_weights, length
from anabranch.estimators.spaces import Spaces
from anabranch.estimators.supports import Bounds, read_supports
from anabranch.models.counting import free_parameters
from anabranch.procedures.fit_flow_density import flow_part, precise_log_prob
from anabranch.procedures.mixture_options import Spec
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.product_preparation import Layout
from anabranch.procedures.rows import Rows
from anabranch.training import FitResult
from anabranch.transforms import Support

Array = NDArray[np.float64]


class FittedFlow(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Spaces, PreparedDensity):
    """A flow and what prepares rows for it, as `anabranch.FlowDensity` keeps them."""

    flow: Spec | None
    support: Mapping[str | int, object] | None
    levels: int | None
    logit_alpha: float
    device: str
    random_state: Seed
    bounds_: Bounds | None
    conditions_: Conditions | None

    # -- using -----------------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Log-density of each row, in nats and in the units of X.

        Args:
            X: (n, D).
            context: (n, C) where the density was fitted with one.

        Returns:
            (n,).
        """
        parts = [
            precise_log_prob(self.model_, rows.z, rows.context).cpu() + rows.term
            for rows in self._given(X, context)
        ]
        return torch.cat(parts).numpy()

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes a context, too
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        context: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Mean of ``score_samples``; a row counts as often as its ``sample_weight`` says."""
        log_prob = self.score_samples(X, context)
        return float(np.average(log_prob, weights=check_weights(sample_weight, len(log_prob))))

    def sample(
        self,
        n_samples: int = 1,
        *,
        context: ArrayLike | None = None,
        random_state: Seed = None,
    ) -> Array:
        """Draw rows, in the units of the data.

        Args:
            n_samples: how many.
            context: (C,) or (1, C) for all draws, or (n_samples, C), one for each.
            random_state: by default that of the estimator, so that an integer repeats the draws.

        Returns:
            (n_samples, D).
        """
        check_is_fitted(self, "model_")
        check_draws(n_samples)
        self._refuse_unasked(context)
        state = check_random_state(self.random_state if random_state is None else random_state)
        seed = int(state.randint(2**31 - 1))
        generator = torch.Generator(self._device).manual_seed(seed)
        if self.conditions_ is None:
            z = self.model_.sample(n_samples, generator=generator)
        else:
            C = self.conditions_.encode_for(context, n_samples).to(self._device)
            z = self.model_.sample(context=C, generator=generator)
        return self.preparation_.decode(z)

    @torch.no_grad()
    def transform(self, X: ArrayLike, *, context: ArrayLike | None = None) -> Array:
        """The latent z of each row, (n, D): independent standard normals if the model is right.

        That holds for flows over a normal base, and of a hedged one for the rows that the flow has
        drawn. An autoregressive model without a latent space,
        such as "rnade", gives the whitened rows.
        """
        self._refuse_without_latents()
        parts = [
            flow_part(self.model_).transform.encode(rows.z, rows.context)[0].double().cpu()
            for rows in self._given(X, context)
        ]
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def inverse_transform(self, Z: ArrayLike, *, context: ArrayLike | None = None) -> Array:
        """The rows, in the units of the data, that have these latents; to single precision."""
        check_is_fitted(self, "model_")
        self._refuse_without_latents()
        latents: Array = check_array(Z, dtype="float64", input_name="Z")
        transform = flow_part(self.model_).transform
        if not transform.bijective:
            raise ValueError(f"flow {self.flow!r} is no bijection: latents do not tell their rows")
        if latents.shape[1] != self.n_features_in_:
            raise ValueError(f"Z must have {self.n_features_in_} columns, got {latents.shape[1]}")
        C = self._encoded(context, len(latents))
        z = torch.as_tensor(latents, dtype=torch.float32, device=self._device)
        given = None if C is None else C.to(self._device)
        return self.preparation_.decode(transform.decode(z, given)[0])

    def bic(self, X: ArrayLike, *, context: ArrayLike | None = None) -> float:
        r"""Bayesian information criterion on X, :math:`-2\log L + p\log n`; lower is better.

        Source: Schwarz (1978), "Estimating the dimension of a model".
        """
        return self.mdl(X, context=context) * 2

    def aic(self, X: ArrayLike, *, context: ArrayLike | None = None) -> float:
        r"""Akaike information criterion on X, :math:`-2\log L + 2p`; lower is better.

        Source: Akaike (1974), "A new look at the statistical model identification".
        """
        return -2 * float(self.score_samples(X, context).sum()) + 2 * self._n_parameters()

    def mdl(self, X: ArrayLike, *, context: ArrayLike | None = None) -> float:
        r"""Description length of X in nats, :math:`-\log L + \tfrac p2\log n`; lower is better.

        Source: Rissanen (1978), "Modeling by shortest data description".
        """
        total = float(self.score_samples(X, context).sum())
        return 0.5 * self._n_parameters() * np.log(length(X)) - total

    def _refuse_without_latents(self) -> None:
        if self.layout is not None:
            raise ValueError("a density of angles or places has no latents of independent normals")

    def _given(self, X: ArrayLike, context: ArrayLike | None) -> Iterator[Rows]:
        """Rows and their context as the flow sees them."""
        check_is_fitted(self, "model_")
        return self._batches(X, self._encoded(context, length(X)))

    def _encoded(self, context: ArrayLike | None, n_rows: int) -> Tensor | None:
        self._refuse_unasked(context)
        return None if self.conditions_ is None else self.conditions_.encode(context, n_rows)

    def _refuse_unasked(self, context: ArrayLike | None) -> None:
        if context is not None and self.conditions_ is None:
            raise ValueError("context is given, but the density was fitted without one")

    def _n_parameters(self) -> int:
        return free_parameters(self.model_)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_

    def program(self) -> Program:
        """Log-density and latents as one module; see `Estimator.program`."""
        check_is_fitted(self, "model_")
        if self.layout is not None:
            raise ValueError("a FlowDensity of angles or places cannot be exported")
        inputs, given = {}, {}
        if self.conditions_ is not None:
            z = np.random.RandomState(0).randn(CHECKED, self.context_size)
            given["context"] = self.conditions_.scale.decode(torch.as_tensor(z))[0].numpy()
        X = self.sample(CHECKED, random_state=0, **given)
        inputs = {"x": X} | given
        scale = None if self.conditions_ is None else self.conditions_.scale
        scores = DensityScores(self.model_, Prepared(self.preparation_.transform), scale)
        return Program(scores, inputs, {"log_prob": self.score_samples(X, **given)})

    # -- what it says of itself ------------------------------------------------------------------

    @property
    def context_size(self) -> int:
        """C, how many columns it is conditional on."""
        return 0 if self.conditions_ is None else self.conditions_.n_features

    @property
    def context_names(self) -> list[str] | None:
        """Their names, None where there are none."""
        return None if self.conditions_ is None else self.conditions_.names

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        context: dict[str, Json] = {"context": self.context_size}
        if self.context_size:
            context["context_names"] = self.context_names
        return super().facts() | context

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        conditions = self.conditions_
        scale = None if conditions is None else dict(conditions.scale.state_dict())
        layout: dict[str, Tree] = {} if self.layout is None else {"layout": self.layout.plain()}
        return super().state() | layout | {"context": scale, "context_names": self.context_names}

    def _restore(self, state: State) -> None:
        self._layout_fields = state.get("layout")  # of older files none: there circles are cut open
        super()._restore(state)
        if self.layout is None:
            parts = self.preparation_.transform.modules()
            support = next((part for part in parts if isinstance(part, Support)), None)
            self.bounds_ = None if support is None else Bounds.of(support)
        self._keep_run(module_from(state["model"]), FitResult(**state["result"]))
        self.conditions_ = Conditions.restored(state["context"], state["context_names"])

    def _blank_preparation(self, n_features: int) -> Preparation:
        fields = vars(self).pop("_layout_fields", None)
        if fields is not None:
            layout = Layout.from_plain(fields)
            self.bounds_ = read_supports(self.support, column_names(self, n_features))
            bounds = bounded_part(self.bounds_, layout)
            return blank_curved(layout, bounds, [0.0] * len(layout.linear))
        support = None
        if self.support is not None:
            free = [-np.inf] * n_features, [np.inf] * n_features
            support = Support(*free, dtype=torch.float64).eval()
        return Preparation.empty(
            n_features, levels=self.levels, alpha=self.logit_alpha, support=support
        )
