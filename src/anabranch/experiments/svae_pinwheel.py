"""The pinwheel by a structured variational autoencoder, beside one with a normal prior."""

import time
from typing import Any, NamedTuple

from anabranch.estimators import DeepClustering
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.metrics import clustering_accuracy
from anabranch.problems import Pinwheel

# Components at most, and what the mean weight of one that counts exceeds.
K, COUNTS, N, TEST = 15, 0.03, 2560, 2560
START, EPOCHS = 40, 200
NETWORK: dict[str, Any] = {"latent": 2, "hidden": (64, 64), "patience": EPOCHS}
FIT: dict[str, Any] = {
    "model_options": {"activation": "tanh"},
    "pretrain": {"epochs": START},
    "max_epochs": EPOCHS,
}
SVAE: dict[str, Any] = {"learning_rate": 1e-2, "rate": 2e-3}
# The prior of a VaDE of one component is any normal distribution: a VAE, which starts from the same
# autoencoder. From random networks a VAE stays at its prior here, and everything is better.
VAE: dict[str, Any] = {"learning_rate": 1e-2}


class Score(NamedTuple):
    """Accuracy on test rows, components that count, bounds on held-out rows, processor seconds."""

    seed: int
    acc: float
    components: int
    bound: float
    vae_bound: float
    s: float


@experiment(
    "svae-pinwheel", seeds=10, summary="an SVAE of up to 15 clusters on the pinwheel, beside a VAE"
)
def svae_pinwheel(run: Run) -> Outcome:
    """Bounds in nats of standardised rows, the same held-out rows for both models."""
    rows = per_seed(run.seeds, score)
    components, accurate = rows.column("components"), rows.column("acc") >= 0.95
    gain = rows.mean("bound") - rows.mean("vae_bound")
    figures = [
        Figure("mean bound above that of a VAE, nats", gain, 0.3, "higher"),
        Figure("share of seeds with ACC >= .95", float(accurate.mean()), 0.8, "higher"),
        Figure("fewest components that count", float(components.min()), 5.0, "higher"),
        Figure("most components that count", float(components.max()), 7.0, "lower"),
        Figure("mean ACC", rows.mean("acc")),
        Figure("processor seconds per SVAE", rows.mean("s")),
    ]
    settings = {"K": K, "n": N, **NETWORK, **FIT, "SVAE": SVAE, "VAE": VAE, "rows to test": TEST}
    return Outcome(figures, settings, rows.table())


def score(seed: int) -> Score:
    """Fit both models of one sample."""
    X, _ = Pinwheel().sample(N, random_state=seed)
    test, labels = Pinwheel().sample(TEST, random_state=10_000 + seed)
    started = time.process_time()
    how = {"random_state": seed, **NETWORK, **FIT}
    svae = DeepClustering(K, method="svae", method_options=SVAE, **how).fit(X)
    seconds = time.process_time() - started
    vae = DeepClustering(1, method="vade", method_options=VAE, **how).fit(X)
    return Score(
        seed,
        clustering_accuracy(labels, svae.predict(test)),
        int((svae.model_.weights > COUNTS).sum()),
        -svae.fit_results_["clusters"].best_score,
        -vae.fit_results_["clusters"].best_score,
        seconds,
    )
