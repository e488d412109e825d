"""Arguments of transforms and distributions that cannot be meant are refused by name."""

import numpy as np
import pytest
import torch

import anabranch.models as models
from anabranch.distributions import DiagonalNormal, Mixture, Normal
from anabranch.transforms import (
    ActNorm,
    Additive,
    Affine,
    DeepSigmoidal,
    GatedAffine,
    LULinear,
    Mask,
    MixtureLogisticCDF,
    Moebius,
    PReLU,
    RationalQuadratic,
    Scale,
    Standardize,
    StructuredAffine,
    TriangularAffine,
)

TWO = DiagonalNormal(2, batch_shape=(2,))
REFUSED = {
    "x must be a torch tensor, got list": lambda: models.maf(3).log_prob([[1.0, 2.0, 3.0]]),  # pyright: ignore
    "x must be a torch tensor, got ndarray": lambda: Normal(2).log_prob(np.zeros((1, 2), "f4")),  # pyright: ignore
    "weights must be 2 positive": lambda: Mixture(TWO, weights=[float("inf"), 1]),
    "weights must be 2 non-negative": lambda: Mixture(TWO).set_weights(
        torch.tensor([1.0, torch.inf])
    ),
    "moves must be True or False": lambda: Mask([0.5, 1.0, 0.2]),  # pyright: ignore
    "bins must be": lambda: RationalQuadratic(bins=2.5),  # pyright: ignore
    "components must be": lambda: MixtureLogisticCDF(components=True),
    "hidden must be an integer": lambda: DeepSigmoidal(hidden=1.5),  # pyright: ignore
    "components must be an integer": lambda: Moebius(components=0),
    "bound must be in": lambda: Moebius(bound=float("nan")),
    "bound must be a positive number, got inf": lambda: Affine(bound=float("inf")),
    "bound must be a positive number, got True": lambda: Scale(bound=True),
    "event_shape must hold": lambda: Normal(0),
    r"event_shape must hold at least one number, got \(0,\)": lambda: TriangularAffine(0),
    r"event_shape must be a size or a shape in integers, got \(2.0,\)": lambda: LULinear(2.0),  # pyright: ignore
    "hidden must be positive integers": lambda: models.maf(3, hidden=(0,)),
    "hidden must be positive": lambda: models.realnvp(3, hidden=(8, 2.5)),  # pyright: ignore
    "bound must be a positive number, got -1": lambda: ActNorm(2, bound=-1.0),
    "bound must be a positive number or None": lambda: LULinear(2, bound=0.0),
    "bound must be a positive number, got 0": lambda: TriangularAffine(2, bound=0.0),
    "bound must be a positive number, got nan": lambda: StructuredAffine(2, bound=float("nan")),
    "scale must be positive": lambda: Standardize(2).set_statistics(torch.zeros(2), torch.zeros(2)),
    "scale_tril must have": lambda: TriangularAffine(2).set_gaussian(torch.zeros(2), -torch.eye(2)),
    "sample_shape must not be negative": lambda: Normal(2).sample((3, -1)),
    "sample_shape must be an integer": lambda: Normal(2).sample(2.5),  # pyright: ignore
    "sample_shape must be an integer or a shape": lambda: Normal(2).sample(True),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_by_name(message):
    with pytest.raises((ValueError, TypeError), match=message):
        REFUSED[message]()


def test_integers_of_numpy_are_integers():
    assert Normal(np.int64(2)).sample(np.int64(3)).shape == (3, 2)  # pyright: ignore


@pytest.mark.parametrize("scalar", [Additive(), Affine(), GatedAffine(), Scale(), PReLU()])
def test_log_slopes_have_the_shape_of_the_values(scalar):
    params = torch.zeros(scalar.n_params, 1, 4)
    for function in (scalar.encode, scalar.decode):
        value, log_slope = function(torch.zeros(3, 4), params)
        assert value.shape == log_slope.shape == (3, 4)
