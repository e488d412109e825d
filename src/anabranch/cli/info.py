"""`anabranch info`: what a model file holds."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from anabranch.cli import options


def info(
    model: options.Model,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a model file holds.

    Its recipe, settings, sizes, weights, score and versions.
    """
    from anabranch.cli.text import listing
    from anabranch.estimators import load

    facts = {"file": str(model)} | _facts(load(model)) | _versions(model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    typer.echo(listing({key: _shown(value) for key, value in facts.items()}))


def _facts(model: Any) -> dict[str, Any]:
    """Facts about an estimator, or about a module that a recipe built."""
    if hasattr(model, "recipe"):
        return _recipe(model)
    names = getattr(model, "feature_names_in_", None)
    settings = {key: model.get_params()[key] for key in sorted(model.get_params())}
    if not hasattr(model, "model_"):  # fitted without a network
        return {
            "estimator": type(model).__name__,
            "columns": model.n_features_in_,
            "names": None if names is None else [str(name) for name in names],
            "components": model.n_components_,
            "weights": [float(weight) for weight in model.weights_],
            "settings": settings,
        }
    if hasattr(model, "fit_results_"):  # clusters without a density: there is no score
        results = list(model.fit_results_.values())
        return {
            "estimator": type(model).__name__,
            "columns": model.n_features_in_,
            "names": None if names is None else [str(name) for name in names],
            "method": model.method,
            "components": model.n_components_,
            "epochs": model.n_iter_,
            "stopped": results[-1].stopped,
            "seconds": sum(result.seconds for result in results),
            **_recipe(model.model_),
            "settings": settings,
        }
    return {
        "estimator": type(model).__name__,
        "columns": model.n_features_in_,
        "names": None if names is None else [str(name) for name in names],
        **_clusters(model),
        **_score(model),
        "epochs": model.n_iter_,
        "stopped": model.fit_result_.stopped,
        "seconds": model.fit_result_.seconds,
        **_recipe(model.model_),
        "settings": settings,
    }


def _score(model: Any) -> dict[str, Any]:
    """What was reached on validation rows, and from where."""
    from anabranch.estimators import DeepMixture

    deep, score = isinstance(model, DeepMixture), model.lower_bound_
    is_bound = deep or model.inference == "variational"
    return {
        "score": score if math.isfinite(score) else None,
        "score_is": "validation bound" if is_bound else "validation mean",
        "start": model.init_params if deep else getattr(model, "start_", None),
    }


def _clusters(model: Any) -> dict[str, Any]:
    """Components and weights of a mixture, or the context of a density."""
    if hasattr(model, "n_components_"):
        weights = [float(weight) for weight in model.weights_]
        return {"components": model.n_components_, "weights": weights}
    conditions = getattr(model, "conditions_", None)
    if conditions is None:
        return {"context": 0}
    return {"context": conditions.n_features, "context_names": conditions.names}


def _recipe(module: Any) -> dict[str, Any]:
    size = sum(parameter.numel() for parameter in module.parameters())
    return {
        "recipe": module.recipe["name"],
        "arguments": module.recipe["arguments"],
        "parameters": size,
    }


def _versions(path: Path) -> dict[str, Any]:
    """The versions in the header of a file that has been read already."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        header = file.metadata()
    return {
        "written_by": f"anabranch {header['library_version']}",
        "format_version": int(header["format_version"]),
        "bytes": path.stat().st_size,
    }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list) and value and all(isinstance(item, float) for item in value):
        return " ".join(f"{item:.4f}" for item in value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={json.dumps(item)}" for key, item in value.items())
    return "-" if value is None else str(value)
