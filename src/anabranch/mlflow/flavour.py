"""Models in MLflow: a model file of this library in a folder of MLflow's, and nothing pickled."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anabranch.batch.scorer import Scorer
from anabranch.estimators import load, save
from anabranch.estimators.estimator import Estimator
from anabranch.mlflow.modules import mlflow_module
from anabranch.version import __version__

FLAVOUR = "anabranch"
FILE = "model.safetensors"
REQUIREMENTS = "requirements.txt"


def save_model(
    estimator: Estimator,
    path: str | PathLike[str],
    *,
    mlflow_model: Any = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a fitted estimator as a model of MLflow: of its own flavour, and of ``pyfunc``.

    Args:
        estimator: fitted.
        path: of a folder that is not there, or empty.
        mlflow_model: an `mlflow.models.Model` to add the flavour to; None for a new one.
        signature: an `mlflow.models.ModelSignature`; None to take it from the example.
        input_example: a few rows.
        pip_requirements: lines of requirements.txt; None for this version of the library.
        metadata: for the model.

    Raises:
        ImportError: where MLflow is not installed.
        ValueError: for a folder that holds files.

    Example:
        >>> import tempfile
        >>> from anabranch import GaussianMixture
        >>> folder = Path(tempfile.mkdtemp()) / "model"
        >>> save_model(GaussianMixture(1).fit({"x": [0.0, 1.0, 2.0]}), folder)
        >>> sorted(file.name for file in folder.iterdir())
        ['MLmodel', 'model.safetensors', 'python_env.yaml', 'requirements.txt']
        >>> _load_pyfunc(folder / FILE).predict(pd.DataFrame({"x": [1.0]})).round(2)
           component  certainty  log_prob
        0          0        1.0     -0.72
    """
    models, pyfunc = mlflow_module("mlflow.models"), mlflow_module("mlflow.pyfunc")
    folder = Path(path)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"path must be a new folder, and {folder} holds files")
    folder.mkdir(parents=True, exist_ok=True)
    save(estimator, folder / FILE)
    model = models.Model() if mlflow_model is None else mlflow_model
    if input_example is not None:
        examples = mlflow_module("mlflow.models.utils")
        examples._save_example(model, input_example, str(folder))  # as all flavours do
        if signature is None:
            told = _load_pyfunc(folder / FILE).predict(input_example)
            signature = models.infer_signature(input_example, told)
    if signature is not None:
        model.signature = signature
    if metadata is not None:
        model.metadata = dict(metadata)
    pyfunc.add_to_model(model, loader_module=__package__, data=FILE, python_env="python_env.yaml")
    model.add_flavor(FLAVOUR, data=FILE, version=__version__, estimator=type(estimator).__name__)
    model.save(str(folder / "MLmodel"))
    lines = [f"anabranch=={__version__}"] if pip_requirements is None else pip_requirements
    (folder / REQUIREMENTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = mlflow_module("mlflow.utils.environment")._PythonEnv.current()
    environment.to_yaml(str(folder / "python_env.yaml"))


def log_model(estimator: Estimator, name: str = "model", **options: Any) -> Any:
    """Write a fitted estimator to the run of MLflow that is active, or to a new one.

    Args:
        estimator: fitted.
        name: of the model in MLflow.
        options: those of `save_model`, and of `mlflow.models.Model.log`, such as
            ``registered_model_name``.

    Returns:
        MLflow's ``ModelInfo``.

    Raises:
        ImportError: where MLflow is not installed.
    """
    models = mlflow_module("mlflow.models")
    flavour = mlflow_module(__package__ or "anabranch.mlflow")
    return models.Model.log(None, flavour, name=name, estimator=estimator, **options)


def load_model(model_uri: str) -> Estimator:
    """The estimator that MLflow keeps under an address, such as "models:/wings/3".

    Raises:
        ImportError: where MLflow is not installed.
        ValueError: for a model of another flavour.
    """
    folder = Path(mlflow_module("mlflow.artifacts").download_artifacts(model_uri))
    flavours = mlflow_module("mlflow.models").Model.load(str(folder)).flavors
    if FLAVOUR not in flavours:
        raise ValueError(f"{model_uri} is of {', '.join(flavours)}, not of {FLAVOUR}")
    return load(folder / flavours[FLAVOUR]["data"])


class Predictor:
    """What MLflow asks for answers: all that a model says of rows."""

    def __init__(self, path: Path) -> None:
        model = load(path)
        outputs = ("component", "certainty") if model.has_clusters else ()
        outputs += () if model.score_kind == "none" else ("log_prob",)
        self.score = Scorer(path, outputs)
        self.names = model.column_names

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answers for rows.

        Args:
            data: a frame with the columns of the model, or an array, (n, D).
            params: ``{"on_bad": "null"}`` for rows with gaps to have none.

        Returns:
            A frame of component, certainty and log_prob, as far as the model has them.

        Raises:
            ValueError: for rows that the model cannot take.
        """
        frame = data
        if not isinstance(data, pd.DataFrame):
            frame = data if isinstance(data, Mapping) else pd.DataFrame(np.asarray(data))
            if self.names is not None and isinstance(frame, pd.DataFrame):
                frame = frame.set_axis(self.names[: frame.shape[1]], axis=1)
        how = (params or {}).get("on_bad", "raise")
        score = Scorer(self.score.model, self.score.outputs, on_bad=how)
        return pd.DataFrame(score(frame))


def _load_pyfunc(path: str | PathLike[str]) -> Predictor:
    """What MLflow calls to load a model as a function."""
    return Predictor(Path(path))
