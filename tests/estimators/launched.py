"""What processes under torchrun do in the test beside: fits, and what each ended with."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch.distributed as dist

from anabranch import (
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
)
from tests.estimators.data import FLOW

KINDS = {
    "FlowMixture": lambda: FlowMixture(2, flow=FLOW, init_params="kmeans", max_epochs=2),
    "FlowDensity": lambda: FlowDensity(FLOW, max_epochs=2),
    "GaussianMixture": lambda: GaussianMixture(2, init_params="random"),
    "DeepMixture": lambda: DeepMixture(2, latent=1, hidden=(4,), max_epochs=2),
}

QUICK = {"max_epochs": 2, "random_state": 0}
FOLDS = {"n_folds": 1, "n_between": 1, "n_last": 1, "hidden": (4,)}
SMALL = {"latent": 1, "hidden": (4,)}
# All estimators, with a seed: an instance, and what ``fit`` is given beside the rows.
SEEDED = {
    "gaussian": lambda: GaussianMixture(2, init_params="random", random_state=0),
    "mixture": lambda: FlowMixture(2, flow=FLOW, **QUICK),
    "variational": lambda: FlowMixture(2, flow=FLOW, inference="variational", **QUICK),
    "density": lambda: FlowDensity(FLOW, **QUICK),
    "posterior": lambda: NeuralPosterior(FLOW, **QUICK),
    "gmm": lambda: FlowGMM(2, flow=FLOW, **QUICK),
    "rad": lambda: RAD(**FOLDS, **QUICK),
    "deep": lambda: DeepMixture(2, **SMALL, **QUICK),
    "clustering": lambda: DeepClustering(2, method="dec", pretrain={"epochs": 2}, **SMALL, **QUICK),
    "vae": lambda: FlowVAE(1, hidden=(4,), **QUICK),
    "coder": lambda: Coder(levels=16, n_neighbours=2, hidden=(4,), **QUICK),
    "pixels": lambda: PixelDensity(
        {"name": "row_lstm", "channels": 4, "n_layers": 1}, levels=16, **QUICK
    ),
}


def seeded(name):
    """What an estimator ends with, as numbers that tell fits apart."""
    model = SEEDED[name]()
    if name == "posterior":
        given = rows()[:, :1]
        return model.fit(rows(), given).score_samples(rows(), given)
    X = rows()
    if name in ("coder", "pixels"):
        X = np.random.RandomState(0).randint(0, 16, (120, 4)).cumsum(1) % 16
    if name == "clustering":
        return model.fit(X).predict_proba(X)[:, 0]
    return model.fit(X).score_samples(X)


def rows():
    """Two blobs."""
    random = np.random.RandomState(0)
    return random.randn(120, 2) + 4.0 * (np.arange(120) % 2)[:, None]


def refused(change):
    """What a process is told whose fit differs from those of the others."""
    mixture, X = FlowMixture(2, flow=None, max_epochs=0, random_state=0), rows()
    if dist.get_rank() == 1:
        X, mixture = change(X, mixture)
    try:
        mixture.fit(X)
    except ValueError as error:
        return str(error)
    return "accepted"


CHANGES = {
    "fewer rows": lambda X, m: (X[:60], m),
    "other rows": lambda X, m: (X + 1, m),
    "other settings": lambda X, m: (X, m.set_params(max_epochs=1)),
    "other seeds": lambda X, m: (X, m.set_params(random_state=1)),
    "no seed": lambda X, m: (X, m.set_params(random_state=None)),
}


def main(folder):
    """Fit without a seed, then try what has to be refused."""
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    np.random.seed(dist.get_rank())  # noqa: NPY002 - the source that no seed stands for
    found = {}
    for name, make in KINDS.items():
        model = make().fit(rows())
        assert model.random_state is None
        found[name] = model.score_samples(rows()).tolist()
    if len(sys.argv) > 2:
        found |= {f"seeded {name}": seeded(name).tolist() for name in SEEDED}
    found |= {name: refused(change) for name, change in CHANGES.items()}
    path = Path(folder) / f"rank{dist.get_rank()}.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
