"""What processes under torchrun do in the test beside: fits, and what each ended with."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch.distributed as dist

from anabranch import DeepMixture, FlowDensity, FlowMixture, GaussianMixture
from tests.estimators.data import FLOW

KINDS = {
    "FlowMixture": lambda: FlowMixture(2, flow=FLOW, init_params="kmeans", max_epochs=2),
    "FlowDensity": lambda: FlowDensity(FLOW, max_epochs=2),
    "GaussianMixture": lambda: GaussianMixture(2, init_params="random"),
    "DeepMixture": lambda: DeepMixture(2, latent=1, hidden=(4,), max_epochs=2),
}


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
    found |= {name: refused(change) for name, change in CHANGES.items()}
    path = Path(folder) / f"rank{dist.get_rank()}.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
