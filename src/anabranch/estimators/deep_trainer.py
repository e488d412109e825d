"""The methods of `DeepClustering`, one function each: from rows to a trained model."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from anabranch.estimators.deep_task import Array, Task, Trained, encode
from anabranch.estimators.gaussian_mixture import GaussianMixture
from anabranch.procedures import (
    choose_facet,
    fit_gmgan,
    fit_ltvae,
    fit_mixae,
    fit_self_training,
    fit_variational,
    log_responsibilities,
    start_ltvae,
)
from anabranch.training import CosineDecay, FitResult


def train(task: Task) -> Trained:
    """Run the method of the settings."""
    return METHODS[task.settings.method](task)


def ae_gmm(task: Task) -> Trained:
    """An autoencoder, and a Gaussian mixture on its codes."""
    return _on_codes(task, *task.autoencoder())


def vae_gmm(task: Task) -> Trained:
    """Likewise, by a variational autoencoder."""
    return _on_codes(task, *task.variational_autoencoder())


def _on_codes(task: Task, model: Any, result: FitResult) -> Trained:
    codes = encode(model, task.x)
    mixture = task.mixture(codes, task.settings.covariance_type)
    return Trained(model, mixture, mixture.predict(codes), {"autoencoder": result})


def dec(task: Task) -> Trained:
    """k-means on the codes of an autoencoder, then both by self-training."""
    # DEC gathers codes at any price, so that it is slowed down
    return _self_trained(task, 0.0, 1e-4)


def idec(task: Task) -> Trained:
    """Likewise, with the decoder."""
    return _self_trained(task, float(task.settings.reconstruction), 1e-3)


def _self_trained(task: Task, reconstruction: float, rate: float) -> Trained:
    # first, so that wrong keywords are refused before the training
    model = task.build(
        "dec",
        n_components=task.n_components,
        alpha=float(task.settings.alpha),
        reconstruction=reconstruction,
    )
    coder, result = task.autoencoder()
    centers, labels = task.centers(encode(coder, task.x))
    model.start_from(coder, centers)
    clusters = fit_self_training(
        model,
        task.x,
        options=task.options(task.max_epochs, task.rate(rate)),
        refresh=task.settings.refresh,
        tol=task.settings.tol,
        generator=task.generator(),
        loop=task.stages.loop("clusters"),
    )
    return Trained(model.eval(), None, labels, {"autoencoder": result, "clusters": clusters})


def vade(task: Task) -> Trained:
    """A Gaussian mixture on the codes of an autoencoder as the prior, then both."""
    return _from_mixture(task, "vade", 2e-3)


def gmvae(task: Task) -> Trained:
    """The same start or none, then a prior whose components depend on a further latent."""
    if task.settings.autoencoder is not None or task.settings.pretrain_epochs:
        return _from_mixture(task, "gmvae", 1e-3)
    model = task.build("gmvae", n_components=task.n_components)
    return Trained(model.eval(), None, None, {"clusters": _fit_bound(task, model, 1e-3)})


def _from_mixture(task: Task, recipe: str, rate: float) -> Trained:
    model = task.build(recipe, n_components=task.n_components)
    coder, result = task.autoencoder()
    codes = encode(coder, task.x)
    mixture = task.mixture(codes, "diag")
    _start(model, coder, result, mixture)
    clusters = _fit_bound(task, model, rate)
    start = mixture.predict(codes)
    return Trained(model.eval(), None, start, {"autoencoder": result, "clusters": clusters})


def _start(model: Any, coder: Any, result: FitResult, mixture: GaussianMixture) -> None:
    moments: tuple[Array, ...] = (mixture.weights_, mixture.means_, mixture.covariances_)
    error = result.best_score
    model.start_from(
        coder,
        error if math.isfinite(error) else 1.0,
        *(torch.as_tensor(moment, dtype=torch.float32) for moment in moments),
    )


def _fit_bound(task: Task, model: Any, rate: float) -> FitResult:
    options = task.options(task.max_epochs, task.rate(rate))
    steps = max(1, len(task.train) // options.batch_size) * max(1, options.max_epochs)
    return fit_variational(
        model,
        task.train,
        task.held_out,
        options=options,
        schedules=[CosineDecay(steps)],
        generator=task.generator(),
        loop=task.stages.loop("clusters"),
    )


def ltvae_gmm(task: Task) -> Trained:
    """A Gaussian mixture with full covariances as the prior, fitted by stepwise EM."""
    return _latent_tree(task, search=False)


def ltvae(task: Task) -> Trained:
    """A tree of discrete variables as the prior, of a structure that is searched."""
    return _latent_tree(task, search=True)


def _latent_tree(task: Task, *, search: bool) -> Trained:
    coder, result = task.autoencoder()
    task.distinct(encode(coder, task.x))
    n_components, error = task.n_components, result.best_score
    model = task.build("ltvae", n_components=n_components)
    start_ltvae(
        model,
        coder,
        task.train,
        error=error if math.isfinite(error) else 1.0,
        search=search,
        n_components=n_components,
        n_init=task.settings.n_init,
        random_state=np.random.RandomState(task.seed),
    )
    choose_facet(model, task.x, n_components)
    start = log_responsibilities(model, task.x).argmax(0).cpu().numpy()
    clusters = fit_ltvae(
        model,
        task.train,
        task.held_out,
        options=task.options(task.max_epochs, task.rate(1e-3)),
        search=search,
        max_states=n_components,
        generator=task.generator(),
        loop=task.stages.loop("clusters"),
    )
    choose_facet(model, task.x, n_components)
    return Trained(model.eval(), None, start, {"autoencoder": result, "clusters": clusters})


def mixae(task: Task) -> Trained:
    """K autoencoders and their assignments, from k-means on the codes of one, or from nothing."""
    model = task.build("mixae", n_components=task.n_components)
    start, clusters, results = None, None, {}
    if task.settings.autoencoder is not None or task.settings.pretrain_epochs:
        coder, results["autoencoder"] = task.autoencoder()
        start = task.centers(encode(coder, task.x))[1]
        clusters = torch.as_tensor(start)
    results["clusters"] = fit_mixae(
        model,
        task.x,
        options=task.options(task.max_epochs, task.rate(3e-3)),
        clusters=clusters,
        generator=task.generator(),
        loop=task.stages.loop("clusters"),
    )
    return Trained(model.eval(), None, start, results)


def gmgan(task: Task) -> Trained:
    """A generator over K Gaussians against a critic, then a classifier of its draws."""
    model = task.build("gmgan", n_components=task.n_components)
    options = task.options(task.max_epochs, task.rate(1e-3))
    result = fit_gmgan(model, task.x, options=options, generator=task.generator())
    return Trained(model.eval(), None, None, {"clusters": result})


METHODS: dict[str, Callable[[Task], Trained]] = {
    "ae+gmm": ae_gmm,
    "vae+gmm": vae_gmm,
    "dec": dec,
    "idec": idec,
    "vade": vade,
    "gmvae": gmvae,
    "mixae": mixae,
    "gmgan": gmgan,
    "ltvae-gmm": ltvae_gmm,
    "ltvae": ltvae,
}
