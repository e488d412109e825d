"""The program of a model: of an estimator, or of a module that a recipe built."""

import warnings

import numpy as np
import torch
from torch import nn

from anabranch.distributions import Distribution
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.programs import (
    CHECKED,
    DensityScores,
    MixtureScores,
    Prepared,
    Program,
)
from anabranch.models import MixtureModel


def program_of(model: Estimator | nn.Module) -> Program:
    """What a model says of rows as one module, and rows to check it by.

    Args:
        model: a fitted estimator, or a density or mixture that a recipe built.

    Raises:
        ValueError: where what it says of rows is no function of them, or none that one module
            computes.

    Example:
        >>> from anabranch.models import realnvp
        >>> sorted(program_of(realnvp(2, n_layers=1, seed=0)).expected)
        ['log_prob']
    """
    if isinstance(model, Estimator):
        with warnings.catch_warnings():
            # its own draws have no names
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return model.program()
    if isinstance(model, MixtureModel):
        return _mixture(model)
    if isinstance(model, Distribution):
        return _density(model)
    raise ValueError(
        f"a {type(model).__name__} cannot be exported alone: it is no density; export the "
        "estimator that trained it"
    )


@torch.no_grad()
def _density(model: Distribution) -> Program:
    if model.batch_shape:
        raise ValueError(f"a stack of {model.batch_shape} densities cannot be exported")
    if model.stochastic:
        raise ValueError(
            f"a {type(model).__name__} whose log_prob draws random numbers cannot be exported"
        )
    generator = torch.Generator().manual_seed(0)
    scores = DensityScores(model, Prepared(None)).eval()
    given, size = {}, (CHECKED,)
    if model.context_shape:
        shape, size = (CHECKED, *model.context_shape), ()
        given["context"] = torch.randn(shape, generator=generator)
    x = model.sample(size, given.get("context"), generator)
    inputs = {name: value.numpy() for name, value in {"x": x, **given}.items()}
    log_prob = scores.density.log_prob(x, *given.values())  # pyright: ignore[reportCallIssue]
    return Program(scores, inputs, {"log_prob": log_prob.double().numpy()})


@torch.no_grad()
def _mixture(model: MixtureModel) -> Program:
    generator = torch.Generator().manual_seed(0)
    x = model.mixture.sample(CHECKED, generator=generator)
    scores = MixtureScores(model.mixture, Prepared(None), None)
    said = {
        "log_prob": model.mixture.log_prob(x).double().numpy(),
        "posterior": model.mixture.log_posterior(x).double().exp().mT.numpy(),
    }
    return Program(scores, {"x": np.asarray(x)}, said)
