"""A lossless coder of images, fitted to some of them."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from anabranch.archive import Tree
from anabranch.coding import IntegerModel, component_information, decode_array, encode_array
from anabranch.coding.integer_model import MAX_COMPONENTS
from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.estimator import Components, Json, State
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
from anabranch.estimators.rows import Seed, split_rows
from anabranch.functional.numbers import check_sizes, check_whole
from anabranch.metrics import bits_per_dim
from anabranch.models import local_context, local_context_mixture
from anabranch.models.counting import free_parameters
from anabranch.procedures.fit_coder import FittedCoder, fit_coder
from anabranch.procedures.optimisation import Optimisation, run_identity
from anabranch.training import FitResult

Array = NDArray[np.float64]
LEARNING_RATE = 6e-3
# Images on which states are compared, at most: each evaluation looks at all of their places.
MOST_HELD_OUT = 500
# The share by which rounding may make codes longer before the user is told.
MOST_LOSS = 0.005


class RoundingWarning(UserWarning):
    """Rounding a coder to whole numbers has made its codes longer than it should."""


@dataclass(frozen=True, kw_only=True)
class CoderPlan:
    """The settings of a `Coder`, checked; see there."""

    training: ClassVar = {"patience": None, "validation_fraction": 0.05, "weight_decay": 0.0}

    optimisation: Optimisation
    image_shape: Sequence[int] | None = None
    levels: int = 256
    n_neighbours: int = 84
    hidden: Sequence[int] = (160, 96)
    n_mirrored: int = 0
    n_components: int = 1

    def __post_init__(self) -> None:
        check_whole(self, ("levels",), 2)
        check_whole(self, ("n_neighbours", "n_components"), 1)
        if int(self.n_components) > MAX_COMPONENTS:
            raise ValueError(
                f"n_components must be at most {MAX_COMPONENTS}, got {self.n_components!r}"
            )
        check_whole(self, ("n_mirrored",), 0)
        check_sizes("hidden", self.hidden)
        if self.image_shape is not None:
            check_sizes("image_shape", self.image_shape)

    @classmethod
    def of(cls, estimator: "Coder") -> Self:
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
        return "local_context" if self.n_components == 1 else "local_context_mixture"

    def recipe(self, n_features: int) -> dict[str, Any]:
        """The arguments of the recipe."""
        shape = self.image_shape
        if shape is None:
            side = math.isqrt(n_features)
            shape = (side, side) if side * side == n_features else (1, n_features)
        several = {} if self.n_components == 1 else {"n_components": int(self.n_components)}
        return several | {
            "features": n_features,
            "image_shape": [int(n) for n in shape],
            "levels": int(self.levels),
            "n_neighbours": int(self.n_neighbours),
            "hidden": [int(n) for n in self.hidden],
            "reach": min(32, int(self.levels) - 1),
            "n_mirrored": int(self.n_mirrored),
        }


def _starts(X: Array, n_components: int, seed: int) -> Tensor | None:
    """Components of images to start from, by k-means of their pixels; None for one component."""
    if n_components == 1:
        return None
    if len(X) < n_components:
        raise ValueError(f"n_components={n_components} needs as many images to train on")
    kmeans = MiniBatchKMeans(n_components, batch_size=2048, random_state=seed)
    return torch.as_tensor(kmeans.fit_predict(X), dtype=torch.long)


class Coder(DensityEstimator):
    r"""A lossless coder of images of whole numbers, whose files decode alike on every machine.

    .. math:: p(x) = \prod_t p(x_t \mid \text{its neighbours, its place, the levels shown before})

    A `LocalContext` is trained and rounded to whole numbers; scores and files are those of the
    rounded model. A pixel is coded in :math:`-\log_2 p` bits, to some hundredths of a per cent.

    With several components the images are clustered while they are coded: all components share one
    network, which is told the component of an image, and the component is sent first, in
    :math:`-\log_2 \pi_k` bits. That is at most :math:`\log_2 K` bits an image more than bits back
    would take, and next to nothing where one component is likely; decoding costs what it costs with
    one. ``score_samples`` sums all components, ``component_log_prob``
    tells them.

    Args:
        image_shape: (height, width) or (height, width, channels) of a row; None for a square where
            the columns make one, else one line.
        levels: pixels are whole numbers 0..levels-1, at most 256.
        n_neighbours: neighbours of a pixel that are looked at: more are slower and shorter.
        hidden: sizes of the hidden layers, likewise.
        n_mirrored: neighbours of the mirrored place, for things alike at left and right.
        n_components: K, clusters of images; coding then takes about 1 + K / 8 times as long.
        learning_rate: of AdamW, at the start of a cosine; "auto" for 6e-3.
        batch_size: images of a step, at most; of each some places are looked at.
        max_epochs: upper limit; an epoch goes through 5000 images at most.
        fit_options: rare settings of training: ``validation_fraction`` (0.05, 500 images at most),
            ``patience`` (None), and those of `anabranch.training.FitOptions`.
        device: "cpu", "cuda", ... for training; coding takes the CPU.
        random_state: seed or `numpy.random.RandomState`.
        verbose: 1 shows progress.

    Attributes:
        integer_: the `anabranch.coding.IntegerModel`, which is all that files depend on.
        model_: the float model that it was rounded from.
        rounding_: the share by which rounding has made codes longer.
        lower_bound_: mean log-probability of the images held out, in nats.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.

    Source: local contexts: Meyer, Tischer (1997), "TMW"; whole numbers: Balle, Johnston, Minnen
    (2019), "Integer networks for data compression with latent-variable models"; components that are
    sent: the switching of Volf, Willems (1998), "Switching between two universal source coding
    algorithms", once an image; they are found by classification EM, Celeux, Govaert (1992).

    Example:
        >>> X = np.eye(8, dtype=int)[np.arange(40) % 8].repeat(2, axis=0).reshape(-1, 16)
        >>> coder = Coder((4, 4), levels=2, hidden=[8], max_epochs=3, random_state=0).fit(X)
        >>> file = coder.compress(X)
        >>> bool((coder.decompress(file) == X).all())
        True
    """

    groups: ClassVar[Mapping[str, type]] = {"fit_options": dict}
    components: ClassVar[Components] = "optional"

    def __init__(
        self,
        image_shape: Sequence[int] | None = None,
        *,
        levels: int = 256,
        n_neighbours: int = 84,
        hidden: Sequence[int] = (160, 96),
        n_mirrored: int = 0,
        n_components: int = 1,
        learning_rate: float | str = "auto",
        batch_size: int = 32,
        max_epochs: int = 60,
        fit_options: Group | None = None,
        device: str = "cpu",
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.image_shape = image_shape
        self.levels = levels
        self.n_neighbours = n_neighbours
        self.hidden = hidden
        self.n_mirrored = n_mirrored
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.fit_options = fit_options
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, *, resume: bool = False) -> Self:
        """Train the model, and round it.

        Args:
            X: (n, D) images of whole numbers, one a row.
            y: ignored.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.

        Warns:
            RoundingWarning: where rounding makes codes longer by more than half a per cent.
        """
        X = self._validated(X, reset=True)
        plan = CoderPlan.of(self)
        state = check_random_state(self.random_state)
        share = plan.optimisation.validation_fraction
        rows, held_out = split_rows(len(X), None, share, state)
        rows = np.concatenate([rows, held_out[MOST_HELD_OUT:]])
        held_out = held_out[:MOST_HELD_OUT] if len(held_out) else rows[:MOST_HELD_OUT]
        seed = int(state.randint(2**30 - 1))
        build = local_context if plan.n_components == 1 else local_context_mixture
        model = build(**plan.recipe(X.shape[1]), seed=seed).to(self._device)
        rate = plan.optimisation.rate(LEARNING_RATE)
        options = plan.optimisation.options(
            len(rows), least_batch=1, learning_rate=rate, min_evaluation_steps=1
        )
        x = torch.as_tensor(X.astype(np.uint8)).view(-1, *model.event_shape).to(self._device)
        found = fit_coder(
            model,
            x[rows],
            x[held_out],
            components=_starts(X[rows], int(plan.n_components), seed),
            options=options,
            seed=seed,
            resume=resume,
            identity=run_identity(plan.optimisation, model, options),
        )
        self._keep(model, found)
        return self

    def _keep(self, model: Any, found: FittedCoder) -> None:
        if found.loss > MOST_LOSS:
            warnings.warn(
                f"rounding to whole numbers makes codes longer by {100 * found.loss:.1f} %",
                RoundingWarning,
                stacklevel=4,
            )
        self.model_, self.integer_, self.rounding_ = model.eval(), found.integer, found.loss
        self.lower_bound_ = -found.bits * self.n_features_in_ * math.log(2)
        self.fit_result_, self.history_ = found.result, found.result.history
        self.n_iter_ = int(found.result.history[-1]["epoch"])

    def _check_values(self, X: Array, columns: list[str], *, reset: bool) -> None:
        if reset:
            CoderPlan.of(self)  # wrong levels are refused by name
        super()._check_values(X, columns, reset=reset)

    # -- using -----------------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike) -> Array:
        """Log-probability of each image by the rounded model, in nats, (n,)."""
        return np.logaddexp.reduce(self.component_log_prob(X), axis=1)

    def component_log_prob(self, X: ArrayLike) -> Array:
        r"""Log-probability of each image and component, :math:`\log \pi_k p(x \mid k)`, (n, K).

        In nats, by the rounded model. The largest is the component that the image belongs to:
        ``component_log_prob(X).argmax(1)``.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        return -component_information(self.integer_, X.astype(np.uint8)).T * math.log(2)

    def sample(self, n_samples: int = 1, *, random_state: Seed = None) -> Array:
        """Draw images, (n_samples, D), from the float model."""
        check_is_fitted(self)
        given = self.random_state if random_state is None else random_state
        seed = int(check_random_state(given).randint(2**31 - 1))
        draws = self.model_.sample(n_samples, generator=torch.Generator().manual_seed(seed))
        return draws.flatten(1).double().numpy()

    def compress(self, X: ArrayLike, *, verify: bool = True) -> bytes:
        r"""Images as the bytes of a compressed file.

        Args:
            X: (n, D) or (n, \*image_shape) whole numbers in any dtype; larger images are cut into
                patches.
            verify: whether the code is decoded before it is returned.

        Raises:
            ValueError: for other shapes, or numbers that are not among the levels.
        """
        check_is_fitted(self)
        array = np.asarray(X)
        if array.ndim == 2 and array.shape[1] == self.n_features_in_:
            flat = array.reshape(len(array), *self.integer_.event_shape)
            return encode_array(flat, self.integer_, verify=verify, shape=array.shape)
        return encode_array(array, self.integer_, verify=verify)

    def decompress(self, content: bytes) -> NDArray[Any]:
        """What ``compress`` was given, bit for bit.

        Raises:
            anabranch.coding.CompressedFileError: for damage, or another model.
        """
        check_is_fitted(self)
        return decode_array(content, self.integer_)

    def _n_parameters(self) -> int:
        return free_parameters(self.model_)

    # -- what it says of itself ------------------------------------------------------------------

    def facts(self) -> dict[str, Json]:
        """What there is to know of a fit; see `Estimator.facts`."""
        score = {"score": finite(self.lower_bound_), "score_is": "validation mean"}
        coder = {
            "bits_per_pixel": bits_per_dim(self.lower_bound_, self.n_features_in_),
            "rounding": self.rounding_,
            "coder": self.integer_.sha256,
            "certificates": self.integer_.certificates(),
            "n_components": self.n_components,
        }
        fit, model = result_facts(self.fit_result_), module_facts(self.model_)
        return super().facts() | score | {"levels": self.levels} | coder | fit | model

    def state(self) -> dict[str, Tree]:
        """What ``fit`` has found; see `Estimator.state`."""
        return super().state() | {
            "model": module_state(self.model_),
            "integer": self.integer_.state(),
            "rounding": self.rounding_,
            "bound": self.lower_bound_,
            "result": result_state(self.fit_result_),
        }

    def _restore(self, state: State) -> None:
        self.model_ = module_from(state["model"])
        self.n_features_in_ = math.prod(self.model_.event_shape)
        self.integer_ = IntegerModel.from_state(state["integer"])
        self.rounding_, self.lower_bound_ = float(state["rounding"]), float(state["bound"])
        self.fit_result_ = FitResult(**state["result"])
        self.history_ = self.fit_result_.history
        self.n_iter_ = int(self.history_[-1]["epoch"])
