"""Mixtures of vines: two that differ in dependence alone, and public tables."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.data import load_sklearn
from anabranch.distributions import Flow, Mixture, Normal
from anabranch.estimators import FlowDensity, FlowMixture
from anabranch.experiments import Figure, Outcome, Run, experiment, joined, per_seed
from anabranch.experiments.baselines import best_gaussian_mixture, standardized
from anabranch.experiments.tabular import read_uci
from anabranch.metrics import clustering_accuracy
from anabranch.transforms import CVine

Array = NDArray[np.float64]
ROWS, SHARE = 4000, 0.4
MOST_ROWS, SEVERAL = 4000, (2, 3, 5)
GAUSSIANS = (1, 2, 3, 5, 8, 12, 16)
REG_COVARS = (1e-6, 1e-3, 1e-2)
FAMILIES = ("simple", "kernel")
TABLES = {
    "power-plant": "power-plant.txt.xz",
    "protein": "protein-tertiary-structure.txt.xz",
    "naval": "naval-propulsion-plant.txt.xz",
    "breast_cancer": None,
    "wine": None,
}
# of wide tables, the columns that are taken
MOST_COLUMNS = 8


class Recovered(NamedTuple):
    """Two vines: the accuracy of the fit and of the truth, and the error of the weights."""

    seed: int
    accuracy: float
    bayes: float
    ratio: float
    weights: float


class Held(NamedTuple):
    """Held-out nats of one table by a mixture of vines, the best single vine, and Gaussians."""

    seed: int
    table: str
    k: int
    families: str
    vines: float
    single: float
    gaussians: float
    above: float


@experiment(
    "vine-mixture",
    seeds=3,
    summary="mixtures of vines by EM: recovered, and beside single vines and Gaussians on tables",
    needs_data=True,
)
def vine_mixture(run: Run) -> Outcome:
    """K and families are chosen on validation rows, the Gaussian mixture's K and kind likewise."""
    found = per_seed(run.seeds, recovered)
    tables = joined(per_seed(run.seeds[:1], on_table, name, _table(run, name)) for name in TABLES)
    above = int((tables.column("above") > 0).sum())
    figures = [
        Figure(
            "two vines: least accuracy over that of Bayes", found.worst("ratio"), 0.95, "higher"
        ),
        Figure(
            "two vines: largest error of a weight", found.worst("weights", "lower"), 0.02, "lower"
        ),
        Figure("tables above a single vine and Gaussians, of five", above, 3, "higher"),
        Figure("mean nats above the better of both", tables.mean("above")),
        Figure("seconds per pair of vines", found.seconds),
    ]
    settings = {
        "rows": ROWS, "share": SHARE, "most rows": MOST_ROWS, "most columns": MOST_COLUMNS,
        "K": SEVERAL, "families": FAMILIES, "K of GaussianMixture": GAUSSIANS,
    }  # fmt: skip
    return Outcome(figures, settings, f"{found.table()}\n\n{tables.table()}")


def two_vines() -> Mixture:
    """Two vines of three normal variables of mean zero, which fall together and apart."""
    parts = [
        ("clayton", [3.0, 3.0], [1.0]),
        ("clayton90", [3.0, 3.0], [1.0]),
    ]
    groups: list[Any] = []
    for family, *trees in parts:
        vine = CVine(3, families=[family, "clayton"]).double()
        vine.set_pairs([torch.tensor(tree).double() for tree in trees])
        groups.append(Flow(Normal(3).double(), vine))
    return Mixture(groups, weights=[1 - SHARE, SHARE])


def recovered(seed: int) -> Recovered:
    """Fit two vines to rows without labels."""
    truth = two_vines()
    generator = torch.Generator().manual_seed(seed)
    x, labels = truth.sample_with_labels(ROWS, generator=generator)
    flow = {"name": "vine", "families": "simple"}
    mixture = FlowMixture(2, flow=flow, random_state=seed).fit(x.numpy())
    found = clustering_accuracy(labels.numpy(), mixture.predict(x.numpy()))
    bayes = float((truth.log_posterior(x).argmax(0) == labels).double().mean())
    error = np.abs(np.sort(mixture.weights_) - np.sort([SHARE, 1 - SHARE])).max()
    return Recovered(seed, found, bayes, found / bayes, float(error))


def on_table(seed: int, name: str, X: Array) -> Held:
    """A mixture of vines, one vine, and Gaussians, each chosen on validation rows."""
    order = np.random.RandomState(seed).permutation(len(X))[:MOST_ROWS]
    ends = int(0.6 * len(order)), int(0.8 * len(order))
    train, validation, test = standardized(*(X[part] for part in np.split(order, ends)))
    flows = {kind: {"name": "vine", "families": kind} for kind in FAMILIES}
    mixtures = [
        (FlowMixture(k, flow=flow, random_state=seed).fit(train, X_val=validation), kind)
        for kind, flow in flows.items()
        for k in SEVERAL
    ]
    best, kind = max(mixtures, key=lambda pair: pair[0].score(validation))
    singles = [
        FlowDensity(flow, random_state=seed).fit(train, X_val=validation) for flow in flows.values()
    ]
    single = max(singles, key=lambda model: model.score(validation)).score(test)
    gaussians = best_gaussian_mixture(train, validation, GAUSSIANS, seed, reg_covars=REG_COVARS)
    theirs, ours = float(gaussians.score(test)), best.score(test)
    return Held(
        seed, name, best.n_components_, kind, ours, single, theirs, ours - max(single, theirs)
    )


def _table(run: Run, name: str) -> Array:
    file = TABLES[name]
    X = load_sklearn(name).X if file is None else read_uci(run.path("uci", file))
    return np.asarray(X, dtype=np.float64)[:, :MOST_COLUMNS]
