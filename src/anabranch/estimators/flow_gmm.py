"""FlowGMM: one flow, and a Gaussian mixture in its latent space."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from anabranch.algorithms.gaussians import GaussianParameters, GaussianStart
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.given_start import StartSource
from anabranch.estimators.groups import Group, accepts_old_names, read_group
from anabranch.estimators.mixture_plan import GROUPS, OLD_NAMES, MixturePlan
from anabranch.estimators.rows import Seed
from anabranch.functional.numbers import (
    check_choice,
    check_flag,
    check_not_negative,
    check_positive,
)
from anabranch.models import MixtureModel
from anabranch.procedures.fit_flow_mixture import MixtureTask
from anabranch.procedures.mixture_options import Spec
from anabranch.procedures.mixture_starts import affine_of
from anabranch.procedures.product_preparation import Layout


@dataclass(frozen=True)
class LatentMeans:
    """Where the Gaussians of the latent space are.

    Attributes:
        start: "data" for a Gaussian mixture of the data, or "random" for draws of N(0, spread² I),
            with covariances I.
        spread: of random means, in standard deviations of a component.
        fixed: leave means and covariances at their start, as the paper does.
    """

    start: Literal["data", "random"] = "data"
    spread: float = 3.5
    fixed: bool = False

    def __post_init__(self) -> None:
        check_choice(self, "start", ("data", "random"))
        check_positive(self, ("spread",))
        check_flag(self, ("fixed",))


@dataclass(frozen=True)
class PseudoLabels:
    """That a row belongs to the component that its perturbed copy looks most like.

    Attributes:
        weight: of the likelihood under such labels; None for 0.
        perturbation: as in `anabranch.procedures.mixture_options.Consistency`.
    """

    weight: float | None = None
    perturbation: Spec | None = None

    def __post_init__(self) -> None:
        check_not_negative(self, ("weight",), optional=True)


class FlowGMM(FlowMixture):
    r"""One flow to a latent space in which the classes are Gaussians.

    .. math:: \log p(x) = \log \sum_k \pi_k\, \mathcal N(f(x); \mu_k, \Sigma_k)
        + \log|\det \partial f / \partial x|

    The estimator of `FlowMixture` with one flow that all components share, and nothing but an
    affine map for each: far fewer parameters than K flows, and labels of one class teach the map
    of all. Labelled rows maximise log p(x, y); rows without a label log p(x); with ``consistency``
    each row is also given to the component that its perturbed copy looks most like.

    Args:
        n_components: K; None for as many as classes in y.
        flow: recipe of the flow.
        means: where the latent Gaussians start, {"start": "data" or "random", "spread": 3.5,
            "fixed": False}; see `anabranch.estimators.flow_gmm.LatentMeans`.
        consistency: {"weight": of the likelihood under pseudo-labels, "perturbation": "noise"}.
        model_options: as in `FlowMixture`, as are all settings from here on; it has no trunk.
        covariance_type: of the start.
        init_params: how the start from data is found.
        n_init: draws of it.
        start: where to begin instead.
        semi_supervised: how labels teach.
        learning_rate: of AdamW.
        batch_size: rows per step.
        max_epochs: upper limit.
        fit_options: of the loop.
        device: "cpu", "cuda", ...
        random_state: seed.
        verbose: 1 shows progress.

    Source: Izmailov, Kirichenko, Finzi, Wilson (2020), "Semi-supervised learning with normalizing
    flows", arXiv:1912.13025.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> X, y = make_moons(200, noise=0.05, random_state=0)
        >>> y[10:] = -1
        >>> model = FlowGMM(max_epochs=3, random_state=0).fit(X, y)
        >>> model.predict(X).shape
        (200,)
    """

    groups: ClassVar[Mapping[str, type]] = {
        **{name: kind for name, kind in GROUPS.items() if name != "temperature"},
        "consistency": PseudoLabels,
        "means": LatentMeans,
    }
    old_names: ClassVar[Mapping[str, str]] = {
        **{
            old: new
            for old, new in OLD_NAMES.items()
            if not old.startswith(("temperature", "balance", "invariant", "trunk"))
        },
        "means": "means__start",
        "spread": "means__spread",
        "fixed_means": "means__fixed",
    }

    @accepts_old_names
    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        flow: Spec | None = "realnvp",
        means: Group | None = None,
        consistency: Group | None = None,
        model_options: Group | None = None,
        covariance_type: str = "auto",
        init_params: str = "auto",
        n_init: int = 1,
        start: StartSource | None = None,
        semi_supervised: Group | None = None,
        learning_rate: float | str = "auto",
        batch_size: int = 512,
        max_epochs: int = 500,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_components,
            flow=flow,
            model_options=model_options,
            covariance_type=covariance_type,
            init_params=init_params,
            n_init=n_init,
            start=start,
            consistency=consistency,
            semi_supervised=semi_supervised,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_epochs=max_epochs,
            fit_options=fit_options,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.means = means

    _pseudo_labels: ClassVar[bool] = True

    def _plan(self) -> MixturePlan:
        read_group("consistency", self.consistency, PseudoLabels, old="weight")
        plan = super()._plan()
        if plan.model_options.trunk is not None:
            raise ValueError("model_options.trunk is for FlowMixture: the flow is the trunk here")
        if self._means().start == "data":
            return plan
        # beside random Gaussians all rows would be of a broad density
        if plan.model_options.contamination not in ("auto", 0):
            raise ValueError("model_options.contamination needs means={'start': 'data'}")
        return replace(plan, model_options=replace(plan.model_options, contamination=0))

    def _means(self) -> LatentMeans:
        return read_group("means", self.means, LatentMeans, old="start")

    def _recipe(
        self,
        plan: MixturePlan,
        n_features: int,
        n_components: int,
        layout: Layout | None = None,
    ) -> dict[str, Any]:
        recipe = super()._recipe(plan, n_features, n_components, layout)
        # random Gaussians say nothing of the data that they could be a floor for
        hedge = recipe["hedge"] and self._means().start == "data"
        return {**recipe, "trunk": self.flow, "flow": None, "hedge": hedge}

    def _set(
        self, model: MixtureModel, start: GaussianStart, plan: MixturePlan, task: MixtureTask
    ) -> None:
        means = self._means()
        if means.start == "random":
            start = _far_apart(start.parameters.means.shape, means.spread, task.seed)
        super()._set(model, start, plan, task)
        if means.fixed:
            for group in model.mixture.groups:
                affine_of(group).requires_grad_(False)


def _far_apart(shape: tuple[int, int], spread: float, seed: int) -> GaussianStart:
    """Unit Gaussians at random means of shape (K, D)."""
    n_components, n_features = shape
    means = np.random.RandomState(seed).normal(0, spread, shape)
    covariances = np.broadcast_to(np.eye(n_features), (n_components, n_features, n_features))
    weights = np.full(n_components, 1 / n_components)
    return GaussianStart("random", GaussianParameters(weights, means, covariances), 0.0)
