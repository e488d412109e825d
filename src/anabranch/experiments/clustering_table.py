"""Deep clustering of MNIST and Fashion-MNIST by all methods, on the same networks and images."""

import sys
import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from anabranch.estimators import DeepClustering, DeepMixture
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, text_table
from anabranch.experiments.image_data import Labels, images
from anabranch.experiments.nvisa_images import BUDGETS as NVISA_BUDGETS
from anabranch.metrics import clustering_accuracy

Array = NDArray[np.float64]
Part = tuple[Array, Labels]

DATA = {"MNIST": "mnist", "Fashion-MNIST": "fashion-mnist"}
# The methods of DeepClustering in the order of the table, and whose autoencoder they take over.
STARTS = {
    "ae+gmm": None,
    "vae+gmm": None,
    "dec": "ae+gmm",
    "idec": "ae+gmm",
    "vade": "ae+gmm",
    "gmvae": "ae+gmm",
    "mixae": "ae+gmm",
    "gmgan": None,
    "ltvae-gmm": "ae+gmm",
    "ltvae": "ae+gmm",
}
# Those that start from a Gaussian mixture on codes.
MIXTURES = ("ae+gmm", "vae+gmm", "vade", "gmvae", "ltvae-gmm")
# Those of DeepMixture.
NVISA = ("nvisa", "nvisa, consistent")
METHODS = ("k-means", *STARTS, *NVISA)
# Table I of Li et al. (2021), which has neither k-means nor IDEC nor MIXAE.
PUBLISHED = {
    "MNIST": {
        "ae+gmm": 0.8427,
        "vae+gmm": 0.7687,
        "dec": 0.8430,
        "vade": 0.9446,
        "gmvae": 0.8854,
        "gmgan": 0.9924,
        "ltvae-gmm": 0.8631,
        "ltvae": 0.8632,
        "nvisa": 0.9655,
    },
    "Fashion-MNIST": {
        "ae+gmm": 0.5383,
        "vae+gmm": 0.5343,
        "dec": 0.5758,
        "vade": 0.5612,
        "gmvae": 0.5015,
        "gmgan": 0.5816,
        "ltvae-gmm": 0.5569,
        "ltvae": 0.6132,
        "nvisa": 0.6263,
    },
}
# What one thread does in about an hour, and the published size.
BUDGETS: dict[str, dict[str, Any]] = {
    "cpu": {
        "rows": 10_000,
        "network": {"latent": 10, "hidden": (500, 500), "levels": 256},
        "DeepClustering": {"pretrain": {"epochs": 50}, "max_epochs": 20},
        "n_init": 3,
        "methods": {
            # K autoencoders, which together are as large as one of the others
            "mixae": {"model_options": {"hidden": (100,), "latent": 4}},
            "gmgan": {"max_epochs": 15, "pretrain": None},
            "nvisa": {
                **NVISA_BUDGETS["cpu"]["pure"],
                "start__epochs": 20,
                "max_epochs": 10,
                "objective__samples": 5,
            },
            "nvisa, consistent": {
                **NVISA_BUDGETS["cpu"]["consistent"],
                "consistency__steps": 2000,
                "n_init": 1,
            },
        },
    },
    "full": {
        "rows": 60_000,
        "network": {"latent": 10, "hidden": (500, 500, 2000), "levels": 256},
        "DeepClustering": {"pretrain": {"epochs": 300}, "max_epochs": 200, "patience": None},
        "n_init": 10,
        "methods": {
            "gmgan": {"pretrain": None},
            "mixae": {"model_options": {"hidden": (100,), "latent": 4}},
            "nvisa": NVISA_BUDGETS["full"]["pure"],
            "nvisa, consistent": NVISA_BUDGETS["full"]["consistent"],
        },
    },
}
HEADER = ["data", "method", "ACC", "std", "worst", "ACC before", "s", "failed", "published"]


class Score(NamedTuple):
    """One fit: test accuracy, that of the training rows before and after the joint training.

    NaN where there is none; ``error`` is the message of a fit that failed.
    """

    test: float = np.nan
    before: float = np.nan
    after: float = np.nan
    seconds: float = np.nan
    error: str = ""


@experiment(
    "clustering-table",
    seeds=3,
    summary="MNIST and Fashion-MNIST by all methods of deep clustering, beside k-means",
    needs_data=True,
)
def clustering_table(run: Run) -> Outcome:
    """Test accuracy of all methods on the same images, with the published one beside it."""
    settings = BUDGETS[run.budget]
    if run.budget == "full" and torch.cuda.is_available():
        settings = {**settings, "network": {**settings["network"], "device": "cuda"}}
    started = time.perf_counter()
    scores: dict[tuple[str, str], list[Score]] = {}
    for name, folder in DATA.items():
        train, test = images(run, folder, "train"), images(run, folder, "t10k")
        for seed in run.seeds:
            for method, one in scores_of(train, test, settings, seed).items():
                scores.setdefault((name, method), []).append(one)
    ordered = {(name, m): scores[name, m] for name in DATA for m in METHODS}
    figures = [figure for name in DATA for figure in _order(name, ordered)]
    figures += [figure for key, some in ordered.items() for figure in _figures(*key, some)]
    errors = {
        f"{name}, {method}, seed {seed}": one.error
        for (name, method), some in ordered.items()
        for seed, one in zip(run.seeds, some, strict=True)
        if one.error
    }
    figures += [
        Figure("fits that failed", len(errors), 0, "lower"),
        Figure("minutes in all", (time.perf_counter() - started) / 60),
    ]
    table = text_table(HEADER, [_row(*key, some) for key, some in ordered.items()])
    return Outcome(figures, {**settings, "published": PUBLISHED, "errors": errors}, table)


def scores_of(
    train: Part,
    test: Part,
    settings: dict[str, Any],
    seed: int,
    coders: dict[str, Any] | None = None,
) -> dict[str, Score]:
    """Fit all methods to the same rows, which the seed chooses, and compare with the labels.

    A line for each goes to stderr when it is there, and the fitted autoencoders into ``coders``.
    """
    coders = {} if coders is None else coders
    some = np.random.RandomState(seed).permutation(len(train[0]))[: settings["rows"]]
    rows = train[0][some], train[1][some]
    scores: dict[str, Score] = {}
    for method in METHODS:
        try:
            one, model = score(method, rows, test, settings, seed, coders)
        except Exception as error:
            one, model = Score(error=f"{type(error).__name__}: {error}"), None
        start = STARTS.get(method)
        if start is not None:
            one = one._replace(seconds=one.seconds + scores[start].seconds)
        elif method in ("ae+gmm", "vae+gmm"):
            coders[method] = model
        scores[method] = one
        print(f"{method}, seed {seed}: {_told(one)}", file=sys.stderr, flush=True)
    return scores


def score(
    method: str,
    train: Part,
    test: Part,
    settings: dict[str, Any],
    seed: int,
    coders: dict[str, Any],
) -> tuple[Score, Any]:
    """Fit one method, and compare with the labels; the fitted model beside."""
    started = time.perf_counter()
    model = _model(method, len(np.unique(test[1])), settings, seed, coders).fit(train[0])
    seconds = time.perf_counter() - started
    before, labels = np.nan, train[1]
    if getattr(model, "start_labels_", None) is not None:
        labels = labels[getattr(model, "train_rows_", slice(None))]
        before = clustering_accuracy(labels, model.start_labels_)
    found = Score(
        clustering_accuracy(test[1], model.predict(test[0])),
        before,
        clustering_accuracy(train[1], model.predict(train[0])),
        seconds,
    )
    return found, model


def _model(
    method: str, n_classes: int, settings: dict[str, Any], seed: int, coders: dict[str, Any]
) -> Any:
    if method == "k-means":
        return KMeans(n_classes, n_init=10, random_state=seed)  # pyright: ignore
    own = settings["methods"].get(method, {})
    if method in NVISA:
        model = DeepMixture(n_classes, random_state=seed)
        return model.set_params(**settings["network"], **own)
    start = STARTS[method]
    coder = None if start is None else coders[start]
    if start is not None and coder is None:
        raise RuntimeError(f"there is nothing to start from, as {start} failed")
    given = {**settings["network"], **settings["DeepClustering"], **own}
    if method in MIXTURES:
        given["method_options"] = {"n_init": settings["n_init"]}
    return DeepClustering(n_classes, method=method, start=coder, **given, random_state=seed)


def _told(one: Score) -> str:
    return one.error or f"test ACC {one.test:.3f}, {one.seconds:.0f} s"


def _row(name: str, method: str, scores: list[Score]) -> list[Any]:
    rows = done(scores)
    told = [rows.mean("test"), rows.std("test"), rows.worst("test"), rows.mean("before")]
    failed = sum(bool(one.error) for one in scores)
    published = PUBLISHED.get(name, {}).get(method, "")
    return [name, method, *told, rows.mean("seconds"), failed, published]


def _figures(name: str, method: str, scores: list[Score]) -> list[Figure]:
    rows = done(scores)
    figures = [
        Figure(f"{name}: test ACC of {method}", rows.mean("test")),
        Figure(f"{name}: standard deviation of {method}", rows.std("test")),
        Figure(f"{name}: seconds of {method}", rows.mean("seconds")),
    ]
    if method in ("dec", "idec"):
        gain = float(rows.gain("after", over="before").mean())
        figures.append(Figure(f"{name}: ACC of {method} above its k-means", gain, 0.0, "higher"))
    if method in PUBLISHED.get(name, {}):
        figures.append(Figure(f"{name}: published ACC of {method}", PUBLISHED[name][method]))
    return figures


def _order(name: str, scores: dict[tuple[str, str], list[Score]]) -> list[Figure]:
    """Whether each method is above the one that is next below it in the published table."""
    published = PUBLISHED[name]
    falling = sorted(published, key=lambda method: -published[method])
    means = {method: done(scores[name, method]).mean("test") for method in falling}
    return [
        Figure(f"{name}: ACC of {above} less that of {below}", gain, 0.0, "higher")
        for above, below in pairwise(falling)
        for gain in [means[above] - means[below]]
    ]


def done(scores: list[Score]) -> Rows[Score]:
    """The fits that did not fail; NaN where none did not."""
    return Rows([one for one in scores if not one.error] or [Score()])
