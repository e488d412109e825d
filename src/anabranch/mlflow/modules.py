"""MLflow, an extra, with the sentence that names it."""

from importlib import import_module
from types import ModuleType


def mlflow_module(name: str = "mlflow") -> ModuleType:
    """A module of MLflow.

    Raises:
        ImportError: where it is not installed.

    Example:
        >>> mlflow_module("mlflow.models").__name__
        'mlflow.models'
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError("MLflow is not installed: pip install anabranch[mlflow]") from error
