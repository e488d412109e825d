"""DEC and IDEC: k-means on the codes of an autoencoder, then both by self-training."""

from dataclasses import dataclass

from anabranch.estimators.clustering_method import Method, Trained
from anabranch.estimators.clustering_task import Task, encode
from anabranch.estimators.numbers import check_not_negative, check_positive, check_whole
from anabranch.models.autoencoders.dec import EmbeddedClustering
from anabranch.procedures import fit_dec


@dataclass(frozen=True)
class DecOptions:
    """Settings of "dec".

    Attributes:
        learning_rate: of codes and clusters together.
        alpha: degrees of freedom of the assignments.
        refresh: steps between two renewals of the targets.
        tol: it ends when a smaller share of rows changes from one renewal to the next.
    """

    # DEC gathers codes at any price, so that it is slowed down
    learning_rate: float = 1e-4
    alpha: float = 1.0
    refresh: int = 140
    tol: float = 1e-3

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate", "alpha"))
        check_whole(self, ("refresh",), 1)
        check_not_negative(self, ("tol",))


@dataclass(frozen=True)
class IdecOptions(DecOptions):
    """Settings of "idec".

    Attributes:
        reconstruction: weight of the error per feature.
    """

    learning_rate: float = 1e-3
    reconstruction: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, ("reconstruction",))


def self_trained(task: Task) -> Trained:
    """Centres by k-means, and training until clusters settle; with the decoder in "idec"."""
    options = task.told(DecOptions)
    weight = float(options.reconstruction) if isinstance(options, IdecOptions) else 0.0
    # first, so that wrong keywords are refused before the training
    model, _ = task.build(
        EmbeddedClustering,
        n_components=task.plan.n_components,
        alpha=float(options.alpha),
        decoder=weight > 0,
    )
    coder, result = task.autoencoder()
    centers, labels = task.centers(encode(coder, task.x))
    model.start_from(coder, centers)
    clusters = fit_dec(
        model,
        task.x,
        task.run(options.learning_rate),
        reconstruction=weight,
        refresh=options.refresh,
        tol=options.tol,
    )
    return Trained(model, None, labels, {"autoencoder": result, "clusters": clusters})


DEC = Method(self_trained, "dec", DecOptions, takes_clusters=True)
IDEC = Method(self_trained, "dec", IdecOptions, takes_clusters=True)
