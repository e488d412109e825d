"""FlowGMM: one flow, and a Gaussian mixture in its latent space."""

from typing import Any

import numpy as np

from anabranch.algorithms.gaussians import GaussianParameters, GaussianStart
from anabranch.estimators.flow_mixture import FlowMixture
from anabranch.estimators.starts import affine_of
from anabranch.models import MixtureModel

MEANS = ("data", "random")


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
        means: where the latent Gaussians start: "data" for a Gaussian mixture of the data, or
            "random" for draws of N(0, spread² I), with covariances I.
        spread: of random means, in standard deviations of a component.
        fixed_means: leave means and covariances at their start, as the paper does.
        consistency: weight of the likelihood under pseudo-labels.
        perturbation: as in `FlowMixture`.
        semi_supervised: as in `FlowMixture`, as are all settings from here on.
        pretrain_epochs: epochs on labelled rows alone.
        label_weight: what a labelled row counts.
        covariance_type: of the start.
        weights: of the mixture.
        init_params: how the start from data is found.
        n_init: draws of it.
        reg_covar: smallest variance of the start.
        levels: for integer data.
        logit_alpha: margin of the logit for integer data.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        batch_size: rows per step.
        max_epochs: upper limit.
        patience: evaluations without improvement.
        validation_fraction: share of rows held out.
        warm_start: go on from the last fit.
        snapshots: states to keep.
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

    def __init__(
        self,
        n_components: int | str | None = None,
        *,
        flow: Any = "realnvp",
        means: str = "data",
        spread: float = 3.5,
        fixed_means: bool = False,
        consistency: float | None = None,
        perturbation: Any = None,
        semi_supervised: str = "joint",
        pretrain_epochs: int = 0,
        label_weight: float = 1.0,
        covariance_type: str = "auto",
        weights: Any = "learned",
        init_params: str = "auto",
        n_init: int = 1,
        reg_covar: float = 1e-6,
        levels: int | None = None,
        logit_alpha: float = 1e-6,
        learning_rate: float | str = "auto",
        weight_decay: float = 0.0,
        batch_size: int = 512,
        max_epochs: int = 500,
        patience: int | None = 20,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        snapshots: int = 0,
        fit_options: dict[str, Any] | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            n_components,
            flow=flow,
            consistency=consistency,
            perturbation=perturbation,
            semi_supervised=semi_supervised,
            pretrain_epochs=pretrain_epochs,
            label_weight=label_weight,
            covariance_type=covariance_type,
            weights=weights,
            init_params=init_params,
            n_init=n_init,
            reg_covar=reg_covar,
            levels=levels,
            logit_alpha=logit_alpha,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_fraction=validation_fraction,
            warm_start=warm_start,
            snapshots=snapshots,
            fit_options=fit_options,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.means = means
        self.spread = spread
        self.fixed_means = fixed_means

    def _recipe(self, n_features: int, n_components: int) -> dict[str, Any]:
        shared = {"trunk": self.flow, "flow": None, "pseudo_labels": True}
        return {**super()._recipe(n_features, n_components), **shared}

    def _started(self, start: GaussianStart, X: Any, n_components: int, seed: int) -> MixtureModel:
        if self.means not in MEANS:
            raise ValueError(f"means must be one of {MEANS}, got {self.means!r}")
        if self.means == "random":
            start = self._far_apart(X.shape[1], n_components, seed)
        model = super()._started(start, X, n_components, seed)
        if self.fixed_means:
            for group in model.mixture.groups:
                affine_of(group).requires_grad_(False)
        return model

    def _far_apart(self, n_features: int, n_components: int, seed: int) -> GaussianStart:
        if not self.spread > 0:
            raise ValueError(f"spread must be positive, got {self.spread!r}")
        means = np.random.RandomState(seed).normal(0, self.spread, (n_components, n_features))
        covariances = np.broadcast_to(np.eye(n_features), (n_components, n_features, n_features))
        weights = np.full(n_components, 1 / n_components)
        return GaussianStart("random", GaussianParameters(weights, means, covariances), 0.0)
