"""What a fit of a `DeepMixture` does: its settings, every one of them checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from anabranch.estimators.groups import read_group
from anabranch.estimators.unused import warn_unused
from anabranch.functional.numbers import check_sizes, check_whole
from anabranch.models.coders import NETWORKS
from anabranch.procedures.nvisa_options import (
    Bound,
    Consistency,
    Course,
    ModelOptions,
    NvisaOptions,
    Spec,
    Start,
)
from anabranch.procedures.optimisation import Optimisation, Settings

HIDDEN = (500, 500)


@dataclass(frozen=True, kw_only=True)
class DeepPlan(NvisaOptions):
    """All settings of a `DeepMixture`, which go together.

    Attributes:
        n_components: K; None for as many as classes or clusters are given.
        levels: of integer data.
    """

    n_components: int | None
    levels: int | None

    @classmethod
    def of(cls, estimator: Settings) -> Self:
        """The plan of an estimator.

        Raises:
            ValueError: naming the setting, what was given and what was expected.
            TypeError: for a keyword that a part does not have.
        """
        given = dict(estimator.get_params(deep=False))
        check_sizes("hidden", given["hidden"])
        start = read_start(given["start"])
        asked = read_group("consistency", given["consistency"], Consistency, old="weight")
        return cls(
            n_components=given["n_components"],  # pyright: ignore - checked below
            latent=given["latent"],  # pyright: ignore
            hidden=tuple(int(size) for size in given["hidden"]),  # pyright: ignore
            network=_network(given["network"]),
            levels=given["levels"],  # pyright: ignore
            n_init=given["n_init"],  # pyright: ignore
            model=read_group("model_options", given["model_options"], ModelOptions),
            bound=Bound.of(given["objective"]),
            consistency=asked.completed(start.name),
            course=read_group("schedule", given["schedule"], Course),
            start=start,
            optimisation=Optimisation.of(estimator),
        )

    def __post_init__(self) -> None:
        check_whole(self, ("latent", "n_init"), 1)
        check_whole(self, ("n_components",), 1, optional=True)
        named = _named(self.network)["name"]
        if named not in NETWORKS:
            raise ValueError(f"network must be one of {tuple(sorted(NETWORKS))}, got {named!r}")
        how = self.consistency
        if how.balance and not how.weight:
            raise ValueError(
                "consistency.balance goes with a weight: alone it would make q certain of anything"
            )
        if how.perturbation is not None and not how.weight:
            raise ValueError("consistency.perturbation goes with a weight, which is 0")
        for name, value in (("start", self.start.name), ("consistency.inference", how.inference)):
            if value == "invariant" and not (how.weight and how.balance):
                raise ValueError(
                    f"{name}='invariant' needs consistency.weight and consistency.balance, which "
                    "train q"
                )

    def warn_of_unused(self, *, labelled: bool) -> None:
        """Tell of settings that a fit to rows, with labels or without, does not use."""
        start, network, weight = (
            self.start.name,
            _named(self.network)["name"],
            self.bound.label_weight,
        )
        begun, shared = f"start is {start!r}", self.course.std_share != Course.std_share
        steps, epochs = self.consistency.steps, self.start.epochs
        for setting, unused, where in (
            ("objective.label_weight", not labelled and weight != 1, "there are no labels"),
            ("consistency.steps", start != "invariant" and steps != Consistency.steps, begun),
            ("start.epochs", start == "random" and epochs != Start.epochs, begun),
            ("hidden", network != "mlp" and self.hidden != HIDDEN, f"network is {network!r}"),
            ("schedule.std_share", self.course.std_first is None and shared, "std_first is None"),
        ):
            if unused:
                warn_unused(setting, where)


def read_start(given: object) -> Start:
    """The setting ``start``: a name, known clusters, or a dict."""
    if isinstance(given, str):
        given = {"name": given}
    return read_group("start", given if isinstance(given, Mapping) else {"clusters": given}, Start)


def _network(given: object) -> Spec:
    spec = _named(given)
    return "mlp" if spec == {"name": "mlp"} else spec


def _named(given: object) -> dict[str, object]:
    """A network by name and keywords; without a name it is an MLP."""
    if isinstance(given, Mapping):
        return {"name": "mlp", **given}
    return {"name": given}
