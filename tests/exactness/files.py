"""Model files and checkpoints of version 0.1.0, which later versions load.

``python -m tests.exactness.files`` writes those of the present version into a folder of its own,
beside the others: files of a version are never written again.
"""

from pathlib import Path
from typing import Any

import anabranch
from tests.exactness import today
from tests.exactness.cases import CASES
from tests.exactness.estimators import EstimatorCase
from tests.exactness.measures import Record, repeatable
from tests.exactness.recipes import RecipeCase, measured

FOLDER = Path(__file__).with_name("files_0_1_0")
MODELS = (
    "FlowMixture",
    "FlowMixture: variational",
    "FlowMixture: levels",
    "FlowMixture: unlike flows",
    "FlowGMM",
    "GaussianMixture: full",
    "GaussianMixture: auto",
    "FlowDensity",
    "FlowDensity: context",
    "FlowDensity: bounds",
    "RAD",
    "DeepMixture",
    "DeepMixture: flows",
    "DeepMixture: images",
    "DeepMixture: invariant",
    "DeepClustering: ae+gmm",
    "DeepClustering: idec",
    "DeepClustering: vade",
    "DeepClustering: gmvae",
    "DeepClustering: ltvae",
    "DeepClustering: mixae",
    "DeepClustering: gmgan",
    "realnvp",
    "nsf",
    "made",
    "rad",
    "flow_density",
    "flow_mixture",
    "flow_mixture: images",
    "flow_mixture: planar and radial",
    "autoencoder",
    "vae",
    "dec: idec",
    "vade",
    "hierarchical_gmvae",
    "ltvae: tree",
    "mixae",
    "gmgan",
    "gmvae",
    "gmvae: conv",
    "gmvae: consistency",
)
# Fits that were stopped half-way: their case, and how it was told where its checkpoint lies.
CHECKPOINTS = {"fit": "realnvp", "FlowMixture": "FlowMixture"}
HALF = {"fit": 2, "FlowMixture": 4}


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """The model file of a case."""
    return folder / f"{name.replace(': ', '-').replace(' ', '-').replace('+', '-')}.safetensors"


def checkpoint_of(name: str, folder: Path = FOLDER) -> Path:
    """The file of a stopped fit."""
    return folder / f"{name}.checkpoint"


def scores_of(name: str, model: Any) -> Record:
    """Scores and draws of a loaded model, as in the record of its case."""
    case = CASES[name]
    if isinstance(case, EstimatorCase):
        return case.scores(model)
    assert isinstance(case, RecipeCase)
    # a model that is trained by an objective knows it only as the case builds it
    fresh = today.build(case.recipe, **case.arguments, seed=0)
    fresh.load_state_dict(model.state_dict())
    return measured(fresh.eval(), **case.rows_to_score(fresh))


def run(name: str, path: Path, *, resume: bool = False, **changes: Any) -> Any:
    """Run a fit of `CHECKPOINTS` with a checkpoint."""
    case = CASES[CHECKPOINTS[name]]
    if isinstance(case, EstimatorCase):
        return case.fitted(resume=resume, fit_options={"checkpoint": str(path)}, **changes)
    assert isinstance(case, RecipeCase)
    return case.fitted(resume=resume, checkpoint=str(path), **changes)[0]


def write(folder: Path) -> None:
    """Write all files of the present version."""
    folder.mkdir()
    for name in MODELS:
        with repeatable():
            fitted: Any = CASES[name].fitted()
            anabranch.save(fitted if name[0].isupper() else fitted[0], path_of(name, folder))
    for name, epochs in HALF.items():
        with repeatable():
            run(name, checkpoint_of(name, folder), max_epochs=epochs)


if __name__ == "__main__":
    version = anabranch.__version__.replace(".", "_")
    write(Path(__file__).with_name(f"files_{version}"))
