"""How NVISA is fitted: the settings that its start and its training read, checked once."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import torch

from anabranch.functional.numbers import (
    check_choice,
    check_flag,
    check_not_negative,
    check_positive,
    check_share,
    check_sizes,
    check_whole,
)
from anabranch.models.autoencoders.likelihoods import LIKELIHOODS
from anabranch.models.autoencoders.nvisa import POSTERIORS, GaussianMixtureVAE
from anabranch.objectives import (
    LatentMixtureBound,
    PosteriorPenalty,
    make_bound,
    make_perturbation,
)
from anabranch.objectives.latent_mixture import INFERENCES
from anabranch.objectives.mixture_bounds import check_bound
from anabranch.procedures.invariant_lessons import Lessons
from anabranch.procedures.optimisation import Optimisation
from anabranch.procedures.stages import Stages
from anabranch.procedures.std_annealing import first_std, std_annealing
from anabranch.training import FitOptions, LateFloat32, RateHalving, Schedule, ScheduledBuffer

Spec = str | Mapping[str, object]
# Of an invariant q, in units of the weight of consistency.
BALANCE = 0.2
# Of the steps of a run in bfloat16, the last, which are taken in float32.
FLOAT32_SHARE = 0.1
STARTS = ("autoencoder", "invariant", "random")
# Keys of the setting ``objective`` that are none of the bound's.
BESIDE_THE_BOUND = ("label_weight", "score_samples")


@dataclass(frozen=True)
class ModelOptions:
    """Further parts of the model, the keywords of `anabranch.models.nvisa`.

    Attributes:
        likelihood: "gaussian", or "bernoulli" for values in [0, 1].
        prior: "gaussian", or a flow for each cluster.
        posterior: "structured" for q(z|y,x), "mean_field" for q(z|x).
        classifier: network of q(y|x); None for one like the encoder.
        activation: of the networks.
        reg_covar: variance given to constant columns, in units of the standardised columns.
    """

    likelihood: str = "gaussian"
    prior: Spec = "gaussian"
    posterior: str = "structured"
    classifier: Spec | None = None
    activation: str = "relu"
    reg_covar: float = 1e-6

    def __post_init__(self) -> None:
        check_choice(self, "likelihood", LIKELIHOODS)
        check_choice(self, "posterior", POSTERIORS)
        check_positive(self, ("reg_covar",))


@dataclass(frozen=True)
class Consistency:
    """What q(y|x) learns without the bound.

    Attributes:
        weight: of the consistency under a perturbation, in nats; None for 1 where something is
            invariant, else 0.
        perturbation: "noise", "affine", "adversarial" or {"name": ..., keyword: value}.
        balance: weight of H(q(y|x)) - 4 H(mean q); None for a fifth of that of consistency where
            something is invariant, else 0.
        inference: "variational" or "invariant"; None for as it was started.
        steps: of an invariant start.
    """

    weight: float | None = None
    perturbation: Spec | None = None
    balance: float | None = None
    inference: str | None = None
    steps: int = 2000

    def __post_init__(self) -> None:
        check_not_negative(self, ("weight", "balance"), optional=True)
        check_choice(self, "inference", (None, *INFERENCES))
        check_whole(self, ("steps",), 1)

    def completed(self, start: str) -> Self:
        """With what was left open, for a start of that name."""
        invariant = "invariant" in (self.inference, start)
        weight = float(invariant) if self.weight is None else float(self.weight)
        usual = BALANCE * weight if invariant else 0.0
        balance = usual if self.balance is None else float(self.balance)
        inference = self.inference or ("invariant" if start == "invariant" else "variational")
        return replace(self, weight=weight, balance=balance, inference=inference)


@dataclass(frozen=True)
class Course:
    r"""What changes during a run.

    Attributes:
        std_first: first bound of standard deviations; "auto" for :math:`\min(1, \sqrt{D/784})`,
            None for no annealing.
        std_last: the last one; the paper's is 1e-4, which takes many more epochs.
        std_share: share of the epochs until the last one.
        rate_halvings: how often the learning rate is halved, at equal distances.
        half_precision: whether networks are in bfloat16, but for the last tenth of the steps.
    """

    std_first: float | str | None = "auto"
    std_last: float = 1e-2
    std_share: float = 0.8
    rate_halvings: int = 4
    half_precision: bool = False

    def __post_init__(self) -> None:
        check_share(self, ("std_share",))
        check_positive(self, ("std_last",))
        check_whole(self, ("rate_halvings",), 0)
        check_flag(self, ("half_precision",))
        if isinstance(self.std_first, str):
            if self.std_first != "auto":
                raise ValueError(
                    f"std_first must be 'auto', None or a number, got {self.std_first!r}"
                )
            return
        check_positive(self, ("std_first",), optional=True)
        if self.std_first is not None and self.std_first < self.std_last:
            raise ValueError(
                f"std_first must be at least std_last={self.std_last}, got {self.std_first}"
            )


@dataclass(frozen=True)
class Bound:
    """What is maximised.

    Attributes:
        name: "vimco", "enumerate", "iwae", "nvil" or "gumbel".
        keywords: of the bound, see `anabranch.objectives.make_bound`.
        label_weight: weight of the cross-entropy on labelled rows.
        score_samples: S, draws per row in ``score_samples``.
    """

    name: str
    keywords: Mapping[str, object] = field(default_factory=dict)
    label_weight: float = 1.0
    score_samples: int = 100

    @classmethod
    def of(cls, given: object) -> Self:
        """That of the setting ``objective``, a name or a dict."""
        spec = {"name": given} if not isinstance(given, Mapping) else {"name": "vimco", **given}
        own: dict[str, Any] = {key: spec.pop(key) for key in BESIDE_THE_BOUND if key in spec}
        name, keywords = check_bound(spec)
        return cls(name, keywords, **own)

    def __post_init__(self) -> None:
        try:
            check_positive(self, ("label_weight",))
            check_whole(self, ("score_samples",), 1)
            keywords = _Keywords(**{"samples": 2, **self.keywords})
            check_whole(keywords, ("samples",), 2 if self.name == "vimco" else 1)
        except ValueError as error:
            raise ValueError(f"objective.{error}") from error


@dataclass(frozen=True)
class _Keywords:
    """Those of a bound, for the checks of their kinds."""

    samples: int
    reparameterized: bool = False
    temperature: float = 0.5
    baseline: object = ()

    def __post_init__(self) -> None:
        check_positive(self, ("temperature",))
        check_flag(self, ("reparameterized",))
        if self.baseline != () and self.baseline != []:
            check_sizes("baseline", self.baseline)


@dataclass(frozen=True)
class Start:
    """How a model starts.

    Attributes:
        name: "autoencoder", "invariant" or "random".
        epochs: of the autoencoder, and of a q(y|x) that is taught clusters.
        clusters: where they are known, labels (n,), probabilities (n, K), or a fitted estimator
            that gives them; they take the place of the mixture of the codes.
    """

    name: str = "autoencoder"
    epochs: int = 20
    clusters: object = None

    def __post_init__(self) -> None:
        check_choice(self, "name", STARTS)
        check_whole(self, ("epochs",), 0)
        if self.clusters is not None and self.name != "autoencoder":
            raise ValueError(f"clusters go with name='autoencoder', got {self.name!r}")


@dataclass(frozen=True, kw_only=True)
class NvisaOptions:
    """What start and training of NVISA read.

    Attributes:
        latent: L.
        hidden: sizes of hidden layers.
        network: of encoder and decoder.
        n_init: starts.
        model: further parts of the model.
        bound: what is maximised.
        consistency: what q(y|x) learns without it, complete.
        course: what changes during a run.
        start: how a model starts.
        optimisation: what all estimators share.
    """

    latent: int
    hidden: tuple[int, ...]
    network: Spec
    n_init: int
    model: ModelOptions
    bound: Bound
    consistency: Consistency
    course: Course
    start: Start
    optimisation: Optimisation

    def recipe(self, n_features: int, n_components: int) -> dict[str, object]:
        """The keywords of `anabranch.models.nvisa`."""
        parts = asdict(self.model)
        del parts["reg_covar"]  # which only the preparation needs
        return {
            "features": n_features,
            "n_components": int(n_components),
            "latent": int(self.latent),
            "hidden": list(self.hidden),
            "network": self.network,
            **parts,
            "floor": float(self.course.std_last),
        }

    def objective(
        self, model: GaussianMixtureVAE, n_features: int, seed: int
    ) -> LatentMixtureBound:
        """What trains a model, in float32 at first."""
        how, bound = self.consistency, self.bound
        penalty = None
        if how.weight:
            perturbation = make_perturbation(how.perturbation or "noise", features=n_features)
            penalty = PosteriorPenalty(perturbation, how.weight, how.balance or 0.0)
        source = torch.Generator().manual_seed(seed)
        spec = {"name": bound.name, **bound.keywords}
        return LatentMixtureBound(
            model,
            make_bound(spec, n_features, activation=self.model.activation, generator=source),
            penalty=penalty,
            inference=how.inference or "variational",
            label_weight=float(bound.label_weight),
        )

    def lessons(
        self, penalty: PosteriorPenalty | None, n_components: int, stages: Stages
    ) -> Lessons | None:
        """How q(y|x) learns by itself before an invariant start; None for another start."""
        if self.start.name != "invariant" or penalty is None:
            return None
        return Lessons(
            penalty.perturbation,
            n_components,
            penalty.balance / penalty.weight,
            self.consistency.steps,
            self.n_init,
            None if self.optimisation.verbose else False,
            stages,
        )

    def options(self, n_rows: int) -> FitOptions:
        """The settings of the loop; all epochs are run, for the annealing to come to its end."""
        options = self.optimisation.options(n_rows, least_batch=16)
        return replace(options, checkpoint=None)

    def start_options(self, n_rows: int) -> FitOptions:
        """Those of the autoencoder, and of a q(y|x) that is taught."""
        return replace(self.options(n_rows), max_epochs=int(self.start.epochs))

    def schedules(
        self, objective: LatentMixtureBound, floor: torch.Tensor, shape: tuple[int, int]
    ) -> list[Schedule]:
        """What changes during a run on (n, D) rows: standard deviations, learning rate, precision.

        Args:
            objective: whose precision changes.
            floor: the bound of the standard deviations, which is written to.
            shape: (n, D).
        """
        (n_rows, n_features), course = shape, self.course
        options = self.options(n_rows)
        steps = max(1, n_rows // min(options.batch_size, n_rows)) * max(1, options.max_epochs)
        found: list[Schedule] = []
        if course.half_precision:
            found.append(LateFloat32(objective, steps - math.ceil(FLOAT32_SHARE * steps)))
        if course.rate_halvings:
            found.append(RateHalving(max(1, steps // (course.rate_halvings + 1))))
        if course.std_first is not None:
            auto = course.std_first == "auto"
            first = first_std(n_features) if auto else float(course.std_first)
            first, last = max(first, course.std_last), course.std_last
            bound = std_annealing(steps, first=first, last=last, share=course.std_share)
            found.append(ScheduledBuffer("std_bound", floor, bound))
        return found
