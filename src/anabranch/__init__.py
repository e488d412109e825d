"""Anabranch: mixtures of normalizing flows for clustering, density estimation and few labels.

Example:
    >>> from anabranch import FlowMixture
    >>> FlowMixture(n_components=5)
    FlowMixture(n_components=5)
"""

from typing import TYPE_CHECKING, Any

from anabranch.version import __version__

if TYPE_CHECKING:
    from anabranch.archive import ModelFileError
    from anabranch.estimators import (
        RAD,
        Coder,
        DeepClustering,
        DeepMixture,
        FlowDensity,
        FlowGMM,
        FlowMixture,
        FlowVAE,
        GaussianMixture,
        NeuralPosterior,
        PixelDensity,
        load,
        save,
    )

# imported on first use, so that `import anabranch` costs little
_HOMES = {
    "ModelFileError": "anabranch.archive",
    "Coder": "anabranch.estimators",
    "DeepClustering": "anabranch.estimators",
    "DeepMixture": "anabranch.estimators",
    "FlowDensity": "anabranch.estimators",
    "FlowGMM": "anabranch.estimators",
    "FlowMixture": "anabranch.estimators",
    "FlowVAE": "anabranch.estimators",
    "GaussianMixture": "anabranch.estimators",
    "NeuralPosterior": "anabranch.estimators",
    "PixelDensity": "anabranch.estimators",
    "RAD": "anabranch.estimators",
    "load": "anabranch.estimators",
    "save": "anabranch.estimators",
}

__all__ = [
    "RAD",
    "Coder",
    "DeepClustering",
    "DeepMixture",
    "FlowDensity",
    "FlowGMM",
    "FlowMixture",
    "FlowVAE",
    "GaussianMixture",
    "ModelFileError",
    "NeuralPosterior",
    "PixelDensity",
    "__version__",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'anabranch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
