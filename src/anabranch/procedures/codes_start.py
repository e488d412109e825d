"""A start of the Gaussian-mixture autoencoder: an autoencoder, and Gaussians of its codes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.cluster import kmeans_plusplus
from torch import Tensor, nn

from anabranch.algorithms.gaussians import (
    CovarianceModel,
    GaussianParameters,
    gaussian_em,
    kmeans_responsibilities,
    merge_components,
)
from anabranch.algorithms.gaussians.starts import StartOptions
from anabranch.models.autoencoders.nvisa import GaussianMixtureVAE
from anabranch.models.autoencoders.tree_prior import TreePrior
from anabranch.objectives import Loss, cross_entropy
from anabranch.procedures.tree_start import start_tree
from anabranch.training import FitOptions, FitResult, fit

Array = NDArray[np.float64]
# Standard deviation of the codes of a cluster after scaling; the prior cannot have less than 1.
WITHIN = 1.2
PART = 8192
# Mixtures of the codes begin with so many pieces for each component, and are merged; on so many
# rows.
PIECES, MERGED_ROWS = (3, 6), 10_000


class _Autoencoder(nn.Module):
    """Squared error of the means, by encoder and decoder of the model itself."""

    def __init__(self, model: GaussianMixtureVAE) -> None:
        super().__init__()
        self.encoder, self.decoder, self.model = model.encoder, model.decoder, [model]

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        x, model = batch["x"], self.model[0]
        reconstruction = model.decode(_plain_codes(model, x))
        return Loss((reconstruction - x).square().sum(-1).mean(), {})


class _Classifier(nn.Module):
    """Cross-entropy of q(y|x) under given responsibilities."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        log_q = torch.log_softmax(self.classifier(batch["x"]).mT, dim=0)
        return Loss(cross_entropy(log_q, batch["responsibilities"].mT).mean(), {})


def start_from_codes(
    model: GaussianMixtureVAE,
    x: Tensor,
    *,
    targets: Array | None = None,
    responsibilities: Array | None = None,
    options: FitOptions | None = None,
    random_state: np.random.RandomState | None = None,
    loops: tuple[Callable[..., FitResult], Callable[..., FitResult]] = (fit, fit),
) -> Array:
    r"""Pretrain a model as an autoencoder, and set its prior to a Gaussian mixture of the codes.

    The means of encoder and decoder learn to reconstruct x; a Gaussian mixture is fitted to the
    codes; codes are turned and scaled, without a change of any reconstruction, so that the pooled
    covariance of the clusters is the identity times 1.2², for the prior has no correlations and no
    standard deviation below 1; the prior takes the means and standard deviations; and q(y|x)
    learns the responsibilities. At first q(z|y,x) does not depend on y.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), section III-B; Jiang, Zheng, Tan, Tang, Zhou
    (2017), "Variational deep embedding", arXiv:1611.05148.

    Args:
        model: fresh; changed in place.
        x: rows (N, D).
        targets: known labels (N, K), rows of zeros where unknown; components are numbered to fit
            them, and q(y|x) learns them instead.
        responsibilities: clusters that are known already, (N, K), such as the answers of a q(y|x)
            that was trained by itself; they take the place of the mixture of the codes, and q(y|x)
            is left as it is.
        options: of the fits, of the autoencoder and of q(y|x) alike.
        random_state: source of the row order and of the mixture's starts.
        loops: what is run in place of `anabranch.training.fit` for the autoencoder and for q(y|x),
            such as ones with a checkpoint.

    Returns:
        The responsibilities, (N, K): what autoencoder and mixture alone say.

    Raises:
        ValueError: for fewer rows than components, or responsibilities of another shape, or any
            where the prior is a tree.
    """
    if len(x) < model.n_components:
        raise ValueError(f"x has {len(x)} rows for {model.n_components} components")
    if responsibilities is not None and responsibilities.shape != (len(x), model.n_components):
        raise ValueError(
            f"responsibilities must be {(len(x), model.n_components)}, got {responsibilities.shape}"
        )
    if responsibilities is not None and isinstance(model.prior, TreePrior):
        raise ValueError("responsibilities go with a mixture as the prior, and not with a tree")
    options = options or FitOptions(max_epochs=50, batch_size=256, learning_rate=1e-3)
    random_state = np.random.RandomState() if random_state is None else random_state
    options = _plain(options)
    if model.encoder.label is not None:
        model.encoder.label.data.zero_()
    loops[0](_Autoencoder(model), {"x": x}, options=options, generator=_source(random_state))
    with torch.no_grad():
        parts = [_plain_codes(model, part) for part in x.split(PART)]
        codes = torch.cat(parts).double().cpu().numpy()
    if responsibilities is not None:
        _set_clusters(model, codes, responsibilities)
        return responsibilities
    if isinstance(model.prior, TreePrior):
        begun = start_tree(model.prior, codes, WITHIN, random_state)
        _scale_codes(model, begun.centre, begun.factor)
        R = begun.responsibilities
        teach_classifier(model.classifier, x, R, options, random_state, loops[1])
        return R
    R = _clusters(codes, model.n_components, targets, random_state)
    _set_clusters(model, codes, R)
    teach_classifier(model.classifier, x, R, options, random_state, loops[1])
    return R


def teach_classifier(
    classifier: nn.Module,
    x: Tensor,
    responsibilities: Array,
    options: FitOptions,
    random_state: np.random.RandomState,
    loop: Callable[..., FitResult] = fit,
) -> None:
    """Let q(y|x) learn clusters that are known.

    Args:
        classifier: from (N, D) to (N, K) logits; changed in place.
        x: rows (N, D).
        responsibilities: (N, K).
        options: of the fit; all epochs are run.
        random_state: source of the row order.
        loop: what is run in place of `anabranch.training.fit`.
    """
    R = torch.as_tensor(responsibilities, dtype=x.dtype, device=x.device)
    options = _plain(options)
    data = {"x": x, "responsibilities": R}
    loop(_Classifier(classifier), data, options=options, generator=_source(random_state))


def _plain(options: FitOptions) -> FitOptions:
    """The settings of a run whose end is not judged, and which leaves nothing."""
    return replace(options, patience=None, checkpoint=None, log_path=None, tensorboard=None)


def _plain_codes(model: GaussianMixtureVAE, x: Tensor) -> Tensor:
    """The encoder's means where no label says anything, (N, L)."""
    nothing = x.new_zeros(model.n_components, 1, len(x))
    return model.encoder.columns(x.mT, nothing).chunk(2)[0].squeeze(1).mT


def _clusters(
    codes: Array, n_components: int, targets: Array | None, random_state: np.random.RandomState
) -> Array:
    """Responsibilities of a mixture of the codes, (N, K); labels overrule them."""
    mixture = _best_mixture(codes, n_components, _least(codes), random_state)
    R = mixture.responsibilities(codes)
    return R if targets is None else _labelled(R, targets)


def _least(codes: Array) -> float:
    """A variance that is small beside those of the codes."""
    return 1e-3 * float(codes.var(0).mean()) + 1e-12


def _set_clusters(model: GaussianMixtureVAE, codes: Array, R: Array) -> None:
    """Turn and scale the codes, and set the prior to the moments of the clusters."""
    counts = R.sum(0)[:, None] + 1e-6
    means = (R.T @ codes + 1e-6 * codes.mean(0)) / counts
    residuals = codes - R @ means
    within = residuals.T @ residuals / len(codes) + _least(codes) * np.eye(codes.shape[1])
    variances, directions = np.linalg.eigh(within)
    factor = WITHIN * directions / np.sqrt(variances)
    centre = means.mean(0)
    _scale_codes(model, centre, factor)
    scaled, means = (codes - centre) @ factor, (means - centre) @ factor
    squares = (R.T @ scaled**2 + 1e-6 * WITHIN**2) / counts - means**2
    _set_prior(model, means, np.sqrt(np.maximum(squares, 0.0)))


def _best_mixture(
    codes: Array, n_components: int, least: float, random_state: np.random.RandomState
) -> GaussianParameters:
    """The likeliest of a few mixtures: long clusters mislead k-means, and random centres others."""
    how = CovarianceModel(reg_covar=least)
    options = StartOptions(n_components)
    means = kmeans_responsibilities(codes, np.arange(len(codes)), options, random_state)
    found = [gaussian_em(codes, means, how, max_iter=200, tol=1e-4)]
    some = codes[random_state.permutation(len(codes))[:MERGED_ROWS]]
    for seen in (some, _whitened(some, least)):
        for pieces in PIECES:
            n_pieces = min(pieces * n_components, len(some))
            seed = int(random_state.randint(2**31 - 1))
            centres = kmeans_plusplus(seen, n_pieces, random_state=seed)[0]
            start = np.eye(n_pieces)[cdist(seen, centres).argmin(1)]
            merged = merge_components(some, start, n_components, how).responsibilities(codes)
            found.append(gaussian_em(codes, merged, how, max_iter=200, tol=1e-4))
    return max(found, key=lambda mixture: mixture.log_prob(codes).mean())


def _whitened(codes: Array, least: float) -> Array:
    """Codes turned and scaled to a covariance of one."""
    covariance = np.atleast_2d(np.cov(codes.T)) + least * np.eye(codes.shape[1])
    variances, directions = np.linalg.eigh(covariance)
    return (codes - codes.mean(0)) @ directions / np.sqrt(variances)


def _labelled(R: Array, targets: Array) -> Array:
    """Responsibilities with components in the order of the labels, and the labels themselves."""
    components, labels = linear_sum_assignment(R.T @ targets, maximize=True)
    R = R[:, components[np.argsort(labels)]]
    return np.where(targets.sum(1, keepdims=True) > 0, targets, R)


@torch.no_grad()
def _scale_codes(model: GaussianMixtureVAE, centre: Array, factor: Array) -> None:
    """Codes become (code - centre) @ factor, (L, L), and the decoder undoes it."""
    last = model.encoder.last
    first: Any = model.decoder.hidden[0] if len(model.decoder.hidden) else model.decoder.last
    shift, forth, back = (
        torch.as_tensor(v, dtype=last.weight.dtype, device=last.weight.device)
        for v in (centre[:, None], factor.T, np.linalg.inv(factor.T))
    )
    own = slice(0, model.latent)
    last.weight[own] = forth @ last.weight[own]
    last.bias[own] = forth @ (last.bias[own] - shift)
    first.bias += first.weight @ shift
    first.weight.copy_(first.weight @ back)


@torch.no_grad()
def _set_prior(model: GaussianMixtureVAE, means: Array, stds: Array) -> None:
    excess = torch.as_tensor(np.maximum(stds.T - 1.0, 0.05))
    model.prior.mean.copy_(torch.as_tensor(means.T))
    model.prior.scale.copy_(torch.log(torch.expm1(excess)))


def _source(random_state: np.random.RandomState) -> torch.Generator:
    return torch.Generator().manual_seed(int(random_state.randint(2**31 - 1)))
