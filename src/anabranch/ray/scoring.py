"""A model over a dataset of Ray, by actors that load it once."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anabranch.batch import Scorer
from anabranch.batch.engines import ray_module
from anabranch.batch.scorer import OUTPUTS


class _Actor:
    def __init__(self, scorer: Scorer, keys: Sequence[str]) -> None:
        self.scorer, self.keys = scorer, keys

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return {**{key: batch[key] for key in self.keys}, **self.scorer(batch)}


def score(
    dataset: Any,
    model: str | Path,
    *,
    keys: Sequence[str] = (),
    outputs: Sequence[str] = OUTPUTS,
    batch_size: int = 4096,
    actors: int | None = None,
) -> Any:
    """The keys and what a model says of each row of a dataset of Ray, as another, lazily.

    Each actor takes one CPU, and one is left to Ray: actors on all of them would wait for ever for
    the tasks that read their blocks (ray#44687).

    Args:
        dataset: a `ray.data.Dataset` with the columns of the model, by their names.
        model: a model file that all nodes can read.
        keys: columns that are handed through.
        outputs: some of component, certainty, log_prob.
        batch_size: rows that an actor scores at once.
        actors: at most; None for as many as there are CPUs, less one.

    Raises:
        ImportError: where Ray is not installed (extra ``ray``).
        ValueError: for outputs that the model has not, and a batch size or actors below one.
    """
    ray = ray_module()
    if batch_size < 1 or (actors is not None and actors < 1):
        raise ValueError(f"batch_size and actors must be at least 1, got {batch_size}, {actors}")
    scorer = Scorer(str(Path(model).resolve()), tuple(outputs))
    scorer.estimator  # noqa: B018 - a model that cannot be used is refused before any work
    free = int(ray.cluster_resources().get("CPU", 1)) - 1
    pool = ray.data.ActorPoolStrategy(size=max(1, min(actors or free, free)))
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(scorer, tuple(keys)),
        batch_size=batch_size,
        batch_format="numpy",
        compute=pool,
        num_cpus=1 if free else 0.5,
    )
