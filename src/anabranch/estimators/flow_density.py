"""FlowDensity: one flow as the density of a table."""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from anabranch.data.extras import pandas_module
from anabranch.data.parquet_rows import ParquetRows, RowParts
from anabranch.distributions import Flow, Logistic, Normal
from anabranch.estimators.checks import check_spread, column_names
from anabranch.estimators.column_warnings import constant_columns
from anabranch.estimators.conditions import Conditions
from anabranch.estimators.curved import (
    bounded_part,
    check_curved_range,
    fit_curved,
    layout_of_bounds,
)
from anabranch.estimators.density_plan import DensityPlan, FlowPlan
from anabranch.estimators.fitted_flow import FittedFlow
from anabranch.estimators.given_start import check_no_start, check_same_model
from anabranch.estimators.groups import Group, accepts_old_names
from anabranch.estimators.held_out import HeldOut
from anabranch.estimators.rows import (
    Seed,
    as_weights,
    at,
    relative_weights,
    split_rows,
)
from anabranch.estimators.streamed import scan_rows
from anabranch.estimators.supports import check_supports, make_support, read_supports
from anabranch.models import flow_density, product_density
from anabranch.procedures.fit_flow_density import (
    Density,
    DensityTask,
    flow_part,
    set_gaussian,
    set_simple,
    train_density,
)
from anabranch.procedures.mixture_options import Spec
from anabranch.procedures.optimisation import flow_options
from anabranch.procedures.rows import Rows
from anabranch.transforms import Additive, Affine, Autoregressive, Coupling, Elementwise, Support

Array = NDArray[np.float64]


class AffineFlowWarning(UserWarning):
    """A flow of affine maps in one dimension only shifts and scales its base."""


class FlowDensity(FittedFlow):
    r"""One normalizing flow as density estimator, with or without a context.

    .. math:: \log p(x \mid c) = \log \mathcal N(f(x; c); 0, I)
        + \log|\det \partial f / \partial x|

    As `sklearn.neighbors.KernelDensity` it has no clusters: for those take `FlowMixture`. Before
    its first step the model *is* a Gaussian (with a context, a linear regression with Gaussian
    errors). The flow f is hedged with that Gaussian g, :math:`p(x) = a f(x) + (1 - a) g(x)`, so
    that no row falls more than :math:`-\log(1 - a)` below it. A flow that is not convincingly
    better on rows held out is dropped, and the Gaussian is what is fitted.

    Args:
        flow: recipe of the flow, a name such as "nsf" or "maf", or {"name": ..., keyword: value};
            None for the Gaussian alone.
        support: where columns live, a dict from names or numbers of columns to "positive", "unit",
            (lower, upper) with None for no bound, "angle" for radians, or {"period": p}. The
            density is nothing outside. ("circle", p) is the same as {"period": p}, and {"place":
            ("latlon", "lat", "lon")} two columns of degrees that are a place on the earth, whose
            density is per square degree of its surface. Then the density is a `product_density`:
            no circle is cut open, and ``flow`` bends the other columns.
        n_init: flows to compare after a few hundred steps; the one that is ahead is trained.
        start: a fitted `FlowDensity` of the same settings whose training goes on, or "last" for the
            last fit of this one; None to begin at the Gaussian.
        reg_covar: smallest variance of the start, in units of the standardised columns, and the
            variance given to constant columns.
        levels: for integer data 0..levels-1, such as 256 for bytes: the data are dequantized and
            brought to the real line, and log-densities are lower bounds of log-probabilities.
        logit_alpha: margin of the logit for integer data.
        hedge: whether the flow is hedged with the Gaussian.
        learning_rate: of AdamW; "auto" for 0.01, and less for fewer than two thousand rows.
        batch_size: rows per step, at most; a quarter of the rows where there are few.
        max_epochs: upper limit; 0 leaves the Gaussian.
        fit_options: rare settings of training, {"patience": 4, "validation_fraction": 0.15,
            "weight_decay": 0.0, "keep": "best"} and those of `anabranch.training.FitOptions`, such
            as "checkpoint".
            After ``patience`` evaluations without improvement the learning rate falls to zero, and
            the run ends; with None it falls along a cosine over all ``max_epochs``: the best way to
            spend a given time. ``keep`` is "best" for the best state, or the Gaussian where the
            flow does not beat it; "last" for the last state, whatever it is worth.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`; the same seed on the same machine gives
            the same bits.
        verbose: 1 shows progress.

    Attributes:
        lower_bound_: best validation score, mean log-density in nats.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        conditions_: the scale of the context, None without one.
        bounds_: the supports of the columns, None without any.
        model_: the `Flow` or, hedged, the `anabranch.distributions.Hedged`, in evaluation mode.
        preparation_: the fixed transform before it.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, _ = make_moons(200, noise=0.05, random_state=0)
        >>> density = FlowDensity("maf", max_epochs=5, random_state=0).fit(X)
        >>> density.score_samples(X).shape, density.sample(3).shape
        ((200,), (3, 2))
    """

    groups: ClassVar[Mapping[str, type]] = {"fit_options": dict}
    old_names: ClassVar[Mapping[str, str]] = FlowPlan.old_names
    takes_streams: ClassVar[bool] = True

    @accepts_old_names
    def __init__(
        self,
        flow: Spec | None = "nsf",
        *,
        support: Mapping[str | int, object] | None = None,
        n_init: int = 1,
        start: object = None,
        reg_covar: float = 1e-6,
        levels: int | None = None,
        logit_alpha: float = 1e-6,
        hedge: bool = True,
        learning_rate: float | str = "auto",
        batch_size: int = 512,
        max_epochs: int = 500,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.flow = flow
        self.support = support
        self.n_init = n_init
        self.start = start
        self.reg_covar = reg_covar
        self.levels = levels
        self.logit_alpha = logit_alpha
        self.hedge = hedge
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting ---------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike | ParquetRows,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        context: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        context_val: ArrayLike | None = None,
        resume: bool = False,
    ) -> Self:
        """Fit the flow.

        Args:
            X: (n, D) array or frame; or `anabranch.data.ParquetRows` of files that are larger than
                memory, with their weights and contexts.
            y: ignored.
            sample_weight: (n,) what each row counts, as if it were there so many times, wherever a
                mean over rows is taken; columns are standardised by all of them alike. None for
                one.
            context: (n, C) what the density of each row may depend on, numbers or one-hot classes;
                None for none.
            X_val: rows to choose the best state on, instead of a share of X.
            context_val: their context.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names, with the
                same data and settings; it ends with the same bits.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
        """
        plan, scan, table = DensityPlan.of(self), None, cast(Any, X)
        if isinstance(X, ParquetRows):
            given = {"sample_weight": sample_weight, "context": context, "X_val": X_val}
            given |= {"levels": self.levels, "start": self.start}
            if X.label is not None:
                raise ValueError("a density learns from no labels: leave label out")
            scan = scan_rows(X, plan.optimisation.validation_fraction, given)
            (table, X_val), (context, context_val) = scan.frames, scan.contexts
            sample_weight = scan.sample.weights
        X = self._validated(table, reset=True)
        flow_options(plan.optimisation, len(X))  # wrong ones are refused before any work
        if X_val is None and context_val is not None:
            raise ValueError("context_val goes with X_val, which is missing")
        other = self._earlier(plan.start, FlowDensity)
        if other is None:
            check_no_start(plan.start, "FlowDensity")
            self.conditions_ = None if context is None else Conditions.fit(context, len(X))
        elif other.support != self.support:
            raise ValueError(f"start has support={other.support!r}, this has {self.support!r}")
        else:
            self.bounds_, self.conditions_ = other.bounds_, other.conditions_
        C = self._encoded(context, len(X))
        random_state = check_random_state(self.random_state)
        weights = relative_weights(sample_weight, len(X))
        near = np.arange(len(X)) if weights is None else np.flatnonzero(weights)
        W_val, apart = None, None
        if X_val is None:
            share = plan.optimisation.validation_fraction
            rows, held_out = split_rows(len(near), None, share, random_state)
            apart = HeldOut.of(X, near[held_out])
            held_out = near[held_out if len(held_out) else rows]
            rows = near[rows]
            V, C_val, W_val = X[held_out], at(C, held_out), at(weights, held_out)
        else:
            rows, V = near, self._validated(X_val, reset=False)
            C_val = self._encoded(context_val, len(V))
            W_val = None if scan is None else relative_weights(scan.judging.weights, len(V))
        seed = int(random_state.randint(2**30 - 1))
        if other is None:
            self._prepare(X[rows], seed)
        else:
            self.preparation_, self.constant_ = other.preparation_, other.constant_
        train = self._rows(X[rows], None, random_state)
        validation = self._rows(V, None, random_state)
        train.context, validation.context = at(C, rows), C_val
        train.weights, validation.weights = as_weights(at(weights, rows)), as_weights(W_val)
        task = DensityTask(
            plan.optimisation, plan.reg_covar, train, validation, self.preparation_, seed
        )
        if scan is not None:
            task = replace(task, stream=self._stream(scan, task.options, self._conditioned))
        models = self._started(plan, task) if other is None else [self._gone_on(plan, other)]
        fallback = self._simple(plan, task) if other is None else other.model_
        self._keep_run(*train_density(models, task, resume=resume, fallback=fallback))
        self.held_out_ = apart
        return self

    def _conditioned(self, rows: Rows, parts: RowParts) -> None:
        """Complete rows of a stream by their context."""
        if parts.context is not None and self.conditions_ is not None:
            names = self.conditions_.names
            context = pandas_module().DataFrame(parts.context, columns=names)
            rows.context = self.conditions_.encode(context, len(context))

    def _gone_on(self, plan: DensityPlan, other: "FlowDensity") -> Density:
        """The flow of another fit, as it was left."""
        check_same_model(other.model_, self._recipe(plan, self.model_features))
        return copy.deepcopy(other.model_).to(self._device)

    def _simple(self, plan: DensityPlan, task: DensityTask) -> Density | None:
        """What spaces have for a Gaussian; None where there are none."""
        if self.layout is None:
            return None
        recipe: dict[str, Any] = self._recipe(plan, task.rows.z.shape[1]) | {"flow": None}
        model = product_density(**recipe)
        set_simple(model, task, self.layout.blocks)
        return model.to(self._device)

    def _recipe(self, plan: DensityPlan, n_features: int) -> dict[str, object]:
        """The arguments of the model's recipe."""
        blocks = {} if self.layout is None else {"blocks": self.layout.blocks}
        return plan.recipe(n_features, self.context_size) | blocks

    def _started(self, plan: DensityPlan, task: DensityTask) -> list[Density]:
        """Flows at the Gaussian that they start from."""
        n_features = task.rows.z.shape[1]
        models: list[Density] = []
        for i in range(plan.n_init):
            recipe: dict[str, Any] = self._recipe(plan, n_features)
            if self.layout is None:
                model = flow_density(**recipe, seed=task.seed + i)
                set_gaussian(model, task)
            else:
                model = product_density(**recipe, seed=task.seed + i)
                set_simple(model, task, self.layout.blocks)
            models.append(model.to(self._device))
        if self.layout is not None:
            return models
        if n_features == 1 and plan.flow is not None and _is_affine(flow_part(models[0])):
            warnings.warn(
                f"flow {self.flow!r} cannot bend one column: its density keeps the shape of its "
                "base, a Gaussian as a rule; for a free shape take 'nsf'",
                AffineFlowWarning,
                stacklevel=4,
            )
        return models

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        if reset:
            self.bounds_ = read_supports(self.support, columns)
        if self.bounds_ is None:
            super()._check_values(X, columns, reset=reset)
            return
        if self.levels is not None:
            raise ValueError("support is for real columns: integers have theirs by levels")
        check_supports(X, self.bounds_, columns)
        if reset:
            z, _ = make_support(X, self.bounds_).encode(torch.as_tensor(X))
            check_spread(z.numpy(), columns)

    def _support(self, X: Array) -> Support | None:
        return None if self.bounds_ is None else make_support(X, self.bounds_)

    # -- angles and places -----------------------------------------------------------------------

    def _prepare(self, X: Array, seed: int) -> None:
        layout = layout_of_bounds(self.bounds_)
        if layout is None:
            super()._prepare(X, seed)
            return
        columns, linear = column_names(self, X.shape[1]), list(layout.linear)
        self.constant_ = np.zeros(X.shape[1], bool)
        names = [columns[j] for j in linear]
        self.constant_[linear] = constant_columns(X[:, linear], names, self.reg_covar)
        bounds = bounded_part(self.bounds_, layout)
        widths = [0.0] * len(linear)
        self.preparation_ = fit_curved(X, layout, bounds, widths, self.constant_)

    @property
    def _noisy(self) -> NDArray[np.bool_]:
        return super()._noisy if self.layout is None else self.layout.seen(self.constant_)

    def _check_range(self, z: Tensor, X: Array) -> None:
        if self.layout is None:
            super()._check_range(z, X)
        else:
            check_curved_range(z, X, self.layout, column_names(self, X.shape[1]))

    def fit_transform(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes a context
        self, X: ArrayLike, y: ArrayLike | None = None, *, context: ArrayLike | None = None
    ) -> Array:
        """Fit, and give the latents of the same rows."""
        return self.fit(X, y, context=context).transform(X, context=context)


def _is_affine(model: Flow) -> bool:
    """Whether all maps are affine in x: in one dimension then the base keeps its shape."""
    if not isinstance(model.base, Normal | Logistic):
        return False
    structures = [
        part
        for part in model.modules()
        if isinstance(part, Autoregressive | Coupling | Elementwise)
    ]
    bent = [not isinstance(part.scalar_map, Additive | Affine) for part in structures]
    return bool(bent) and not any(bent)
