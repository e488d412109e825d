"""PixelDensity: an autoregressive model as the density of images of whole numbers."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.distributions import PixelModel
from anabranch.estimators.checks import check_draws
from anabranch.estimators.column_warnings import ConstantColumnWarning
from anabranch.estimators.conditions import Conditions
from anabranch.estimators.estimator import Json, State
from anabranch.estimators.fitted import (
    finite,
    module_facts,
    module_from,
    module_state,
    result_facts,
    result_state,
)
from anabranch.estimators.groups import Group
from anabranch.estimators.identity import loop_identity
from anabranch.estimators.rows import Seed, length, split_rows
from anabranch.estimators.trained import TrainedDensity
from anabranch.functional.numbers import check_whole
from anabranch.metrics import bits_per_dim
from anabranch.models.counting import free_parameters
from anabranch.models.registry import build, keywords
from anabranch.models.specs import Spec, split_spec
from anabranch.networks.conv import image_size
from anabranch.objectives import Likelihood
from anabranch.procedures.fit_objective import fit_objective
from anabranch.procedures.optimisation import Optimisation
from anabranch.training import FitResult

Array = NDArray[np.float64]
LEARNING_RATE = 2e-3
# Rows at once that leave tensors small.
PART = 1024
# More of these are no colours.
MOST_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class PixelPlan:
    """The settings of a `PixelDensity`, checked; see there."""

    training: ClassVar = {"patience": 10, "validation_fraction": 0.1, "weight_decay": 0.0}

    optimisation: Optimisation
    recipe: Spec = "gated_pixelcnn"
    image_shape: Sequence[int] | None = None
    levels: int = 256

    def __post_init__(self) -> None:
        check_whole(self, ("levels",), 2)
        if "levels" not in keywords(self.recipe_name):
            raise ValueError(f"recipe must be that of a PixelModel, got {self.recipe_name!r}")
        shape = self.image_shape
        if shape is not None and len(shape) == 3 and shape[2] <= MOST_CHANNELS < shape[0]:
            raise ValueError(
                f"image_shape must be (C, H, W), channels first; {tuple(shape)} has them last"
            )

    @classmethod
    def of(cls, estimator: "PixelDensity") -> Self:
        """The plan of an estimator."""
        params = estimator.get_params(deep=False)
        own: dict[str, Any] = {
            name: params[name] for name in cls.__dataclass_fields__ if name in params
        }
        optimisation = Optimisation.of(
            estimator, automatic_rate=True, within=cls.training, identity=loop_identity(estimator)
        )
        return cls(**own, optimisation=optimisation)

    @property
    def recipe_name(self) -> str:
        """The name of the model's recipe."""
        return split_spec("recipe", self.recipe)[0]

    def arguments(self, n_features: int, n_context: int) -> dict[str, Any]:
        """What the recipe is given."""
        shape = (1, n_features) if self.image_shape is None else self.image_shape
        return {
            **split_spec("recipe", self.recipe)[1],
            "image_shape": list(image_size([int(n) for n in shape], n_features)),
            "levels": int(self.levels),
            "context_features": n_context,
        }


class PixelDensity(TrainedDensity):
    r"""An autoregressive model as the density of images of whole numbers.

    .. math:: p(x \mid c) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}, c)

    Scores are exact log-probabilities: nothing is dequantized.

    Args:
        recipe: of a `PixelModel`, such as "pixelcnn", "row_lstm" or {"name": "gated_pixelcnn",
            "channels": 64, "position": True}.
        image_shape: (H, W) or (C, H, W) of a row, whose numbers lie channel after channel, row
            after row; None for one line.
        levels: pixels are whole numbers 0..levels-1.
        learning_rate: of AdamW; "auto" for 2e-3.
        batch_size: images of a step, at most.
        max_epochs: upper limit; 0 leaves the uniform distribution.
        fit_options: rare settings of training, {"patience": 10, "validation_fraction": 0.1,
            "weight_decay": 0.0, "keep": "best"} and those of `anabranch.training.FitOptions`; with
            patience None all epochs are run, the rate falling along a cosine; "keep" is the "best"
            state on images held out, or the "last".
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`.
        verbose: 1 shows progress.

    Attributes:
        lower_bound_: mean log-probability of the images held out, in nats.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        conditions_: the scale of the context, None without one.
        model_: the `PixelModel`, in evaluation mode.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), "Pixel recurrent neural networks",
    arXiv:1601.06759.

    Example:
        >>> X = np.eye(4, dtype=int)[np.arange(40) % 4]
        >>> recipe = {"name": "gated_pixelcnn", "channels": 4, "n_layers": 2}
        >>> density = PixelDensity(recipe, image_shape=(2, 2), levels=2, max_epochs=2).fit(X)
        >>> density.score_samples(X).shape, density.sample(3).shape
        ((40,), (3, 4))
    """

    groups: ClassVar[Mapping[str, type]] = {"fit_options": dict}
    conditions_: Conditions | None

    def __init__(
        self,
        recipe: Spec = "gated_pixelcnn",
        *,
        image_shape: Sequence[int] | None = None,
        levels: int = 256,
        learning_rate: float | str = "auto",
        batch_size: int = 32,
        max_epochs: int = 50,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.recipe = recipe
        self.image_shape = image_shape
        self.levels = levels
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        context: ArrayLike | None = None,
        resume: bool = False,
    ) -> Self:
        """Train the model.

        Args:
            X: (n, D) images of whole numbers, one a row.
            y: ignored.
            context: (n, C) what an image may depend on, such as its class as a one-hot code.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            ConstantColumnWarning: where all images are the same.
        """
        X = self._validated(X, reset=True)
        plan = PixelPlan.of(self)
        self.conditions_ = None if context is None else Conditions.fit(context, len(X))
        arguments = plan.arguments(X.shape[1], self.context_size)
        if not np.ptp(X, axis=0).any():
            warnings.warn(
                "all images are the same: nothing but certainty can be learned",
                ConstantColumnWarning,
                stacklevel=3,
            )
        state = check_random_state(self.random_state)
        rows, held_out = split_rows(len(X), None, plan.optimisation.validation_fraction, state)
        seed = int(state.randint(2**30 - 1))
        model = build(plan.recipe_name, **arguments, seed=seed).to(self._device)
        assert isinstance(model, PixelModel)
        options = plan.optimisation.options(
            len(rows), least_batch=8, learning_rate=plan.optimisation.rate(LEARNING_RATE)
        )
        data = {"x": self._images(X, model)}
        if self.conditions_ is not None:
            data["context"] = self.conditions_.encode(context, len(X)).to(self._device)
        parts = [
            {name: tensor[torch.as_tensor(part)] for name, tensor in data.items()}
            for part in (rows, held_out if len(held_out) else rows)
        ]
        result = fit_objective(
            Likelihood(model),
            parts[0],
            parts[1],
            options=options,
            optimisation=plan.optimisation,
            seed=seed,
            resume=resume,
        )
        self._keep_run(model, result)
        return self

    def _images(self, X: Array, model: PixelModel) -> Tensor:
        x = torch.as_tensor(X, dtype=torch.float32, device=self._device)
        return x.reshape(-1, *model.event_shape)

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        if reset:
            PixelPlan.of(self)  # wrong levels are refused by name
        super()._check_values(X, columns, reset=reset)

    # -- using -----------------------------------------------------------------------------------

    @torch.no_grad()
    def score_samples(self, X: ArrayLike, context: ArrayLike | None = None) -> Array:
        """Log-probability of each image, in nats.

        Args:
            X: (n, D).
            context: (n, C) where the density was fitted with one.

        Returns:
            (n,).
        """
        parts = [self.model_.log_prob(*part).double().cpu() for part in self._given(X, context)]
        return torch.cat(parts).numpy()

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes a context, too
        self, X: ArrayLike, y: ArrayLike | None = None, *, context: ArrayLike | None = None
    ) -> float:
        """Mean of ``score_samples``."""
        return float(self.score_samples(X, context).mean())

    def bits_per_dim(self, X: ArrayLike, *, context: ArrayLike | None = None) -> float:
        """Mean bits for each number of an image: what a perfect coder needs."""
        return bits_per_dim(self.score(X, context=context), self.n_features_in_)

    def sample(
        self,
        n_samples: int = 1,
        *,
        context: ArrayLike | None = None,
        temperature: float = 1.0,
        random_state: Seed = None,
    ) -> Array:
        """Draw images.

        Args:
            n_samples: how many.
            context: (C,) or (1, C) for all draws, or (n_samples, C), one for each.
            temperature: below one, numbers keep to what is likely; see `PixelModel.tempered`.
            random_state: by default that of the estimator, so that an integer repeats the draws.

        Returns:
            (n_samples, D).
        """
        check_is_fitted(self)
        check_draws(n_samples)
        self._refuse_unasked(context)
        given = None
        if self.conditions_ is not None:
            given = self.conditions_.encode_for(context, n_samples).to(self._device)
        model = self.model_ if temperature == 1 else self.model_.tempered(temperature)
        shape = n_samples if given is None else ()
        x = model.sample(shape, given, self._generator(random_state))
        return x.flatten(1).double().cpu().numpy()

    def complete(
        self,
        X: ArrayLike,
        rows: int,
        *,
        context: ArrayLike | None = None,
        random_state: Seed = None,
    ) -> Array:
        """Keep the first rows of pixels of each image, and draw the rest given these.

        Args:
            X: (n, D); what lies below may be anything among the levels.
            rows: how many rows of pixels are given, 0..H.
            context: (n, C) where the density was fitted with one.
            random_state: as for ``sample``.

        Returns:
            (n, D).
        """
        generator = self._generator(random_state)
        parts = [
            self.model_.complete(x, rows, given, generator) for x, given in self._given(X, context)
        ]
        return torch.cat(parts).flatten(1).double().cpu().numpy()

    def _generator(self, random_state: Seed) -> torch.Generator:
        given = self.random_state if random_state is None else random_state
        seed = int(check_random_state(given).randint(2**31 - 1))
        return torch.Generator(self._device).manual_seed(seed)

    def _given(
        self, X: ArrayLike, context: ArrayLike | None
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Images and their context, some at a time."""
        check_is_fitted(self)
        self._refuse_unasked(context)
        codes = None
        if self.conditions_ is not None:
            codes = self.conditions_.encode(context, length(X)).to(self._device)
        X = self._validated(X, reset=False)
        for start in range(0, len(X), PART):
            part = slice(start, start + PART)
            yield self._images(X[part], self.model_), None if codes is None else codes[part]

    def _refuse_unasked(self, context: ArrayLike | None) -> None:
        if context is not None and self.conditions_ is None:
            raise ValueError("context is given, but the density was fitted without one")

    def _n_parameters(self) -> int:
        return free_parameters(self.model_)

    # -- what it says of itself ------------------------------------------------------------------

    @property
    def context_size(self) -> int:
        """C, how many columns it is conditional on."""
        return 0 if self.conditions_ is None else self.conditions_.n_features

    @property
    def context_names(self) -> list[str] | None:
        """Their names, None where there are none."""
        return None if self.conditions_ is None else self.conditions_.names

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        facts: dict[str, Json] = {
            "score": finite(self.lower_bound_),
            "score_is": "validation mean",
            "levels": self.levels,
            "bits_per_dim": finite(bits_per_dim(self.lower_bound_, self.n_features_in_)),
            "context": self.context_size,
        }
        fit, model = result_facts(self.fit_result_), module_facts(self.model_)
        return super().facts() | facts | fit | model

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        conditions = self.conditions_
        return super().state() | {
            "model": module_state(self.model_),
            "result": result_state(self.fit_result_),
            "context": None if conditions is None else dict(conditions.scale.state_dict()),
            "context_names": self.context_names,
        }

    def _restore(self, state: State) -> None:
        model = module_from(state["model"])
        self.n_features_in_ = prod(model.event_shape)
        self._keep_run(model, FitResult(**state["result"]))
        self.conditions_ = Conditions.restored(state["context"], state["context_names"])
