"""NeuralPosterior: the parameters of a simulator, given what it simulates."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from anabranch.algorithms.mean_shift import mean_shift_mode
from anabranch.estimators.checks import check_draws
from anabranch.estimators.flow_density import FlowDensity
from anabranch.estimators.rows import Seed, length
from anabranch.metrics.posterior_calibration import Calibration, Simulator, calibration

Array = NDArray[np.float64]
# Draws of a network at once, that leave tensors small.
PART = 1 << 15


class NeuralPosterior(FlowDensity):
    r"""The posterior of a simulator's parameters, learned from simulations.

    .. math:: q(\theta \mid x) \approx p(\theta \mid x) \propto p(\theta)\, p(x \mid \theta),
        \qquad \max_q \sum_i \log q(\theta_i \mid x_i),
        \quad \theta_i \sim p(\theta),\; x_i \sim p(x \mid \theta_i)

    Inverse problems are of this kind: many settings :math:`\theta` lead to the x that is observed.
    No likelihood is needed, only simulations; once trained, a new x costs a pass of a network. It
    is a `FlowDensity` of :math:`\theta` with x as its context, and takes the same settings.

    Where ``fit`` and others are given ``context``, as by commands, it is x under another name.

    Args:
        flow: recipe of the flow, a name such as "nsf" or "cinn", or {"name": ..., keyword: value};
            None for a linear regression with Gaussian errors.
        support: where parameters live, as of `FlowDensity`: no draw lies outside.
        n_init: flows to compare after a few hundred steps; the one that is ahead is trained.
        start: a fitted estimator of the same settings whose training goes on, "last", or None.
        reg_covar: smallest variance of the start, in units of standardised parameters.
        levels: for parameters that are integers 0..levels-1.
        logit_alpha: margin of the logit for integers.
        hedge: whether the flow is hedged with the linear regression.
        learning_rate: of AdamW; "auto" for 0.01, and less for fewer than two thousand simulations.
        batch_size: simulations per step, at most.
        max_epochs: upper limit.
        fit_options: rare settings of training, as of `FlowDensity`.
        device: "cpu", "cuda", ...
        random_state: seed or `numpy.random.RandomState`.
        verbose: 1 shows progress.

    Attributes:
        lower_bound_: best validation score, mean log-density in nats.
        converged_: whether training stopped because nothing improved.
        n_iter_: epochs run.
        history_: one dict per evaluation, see `anabranch.training.fit`.
        conditions_: the scale of x.
        bounds_: the supports of the parameters, None without any.
        model_: the conditional `Flow` or, hedged, the `anabranch.distributions.Hedged`.
        preparation_: the fixed transform before it.

    Source: Papamakarios, Murray (2016), "Fast epsilon-free inference of simulation models with
    Bayesian conditional density estimation", arXiv:1605.06376; Greenberg, Nonnenmacher, Macke
    (2019), "Automatic posterior transformation", arXiv:1905.07488.

    Example:
        >>> from anabranch.problems import InverseKinematics
        >>> problem = InverseKinematics()
        >>> theta, x = problem.sample(200, random_state=0)
        >>> posterior = NeuralPosterior("nsf", max_epochs=2, random_state=0).fit(theta, x)
        >>> posterior.sample(5, x[0]).shape, posterior.sample(5, x[:3]).shape
        ((5, 4), (5, 3, 4))
        >>> posterior.log_prob(theta, x[0]).shape
        (200,)
    """

    def fit(  # pyright: ignore[reportIncompatibleMethodOverride] - here x comes second
        self,
        theta: ArrayLike,
        x: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        context: ArrayLike | None = None,
        theta_val: ArrayLike | None = None,
        x_val: ArrayLike | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn from simulations.

        Args:
            theta: (n, D) parameters, drawn from the prior; array, frame or tensor.
            x: (n, C) what each simulated, numbers or one-hot classes.
            sample_weight: (n,) what each simulation counts, None for one; such as prior over
                proposal, where parameters were proposed otherwise.
            context: x by another name.
            theta_val: simulations to choose the best state on, instead of a share of these.
            x_val: what they simulated.
            resume: continue the interrupted fit whose checkpoint ``fit_options`` names.

        Returns:
            The estimator.

        Raises:
            ValueError: for data or settings that cannot be used; the message says why.
        """
        if (theta_val is None) != (x_val is None):
            raise ValueError("theta_val and x_val go together: give both or none")
        return super().fit(
            theta,
            sample_weight=sample_weight,
            context=_observed(x, context),
            X_val=theta_val,
            context_val=x_val,
            resume=resume,
        )

    # -- using -----------------------------------------------------------------------------------

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride] - it takes x, too
        self,
        n_samples: int = 1,
        x: ArrayLike | None = None,
        *,
        context: ArrayLike | None = None,
        random_state: Seed = None,
    ) -> Array:
        """Draw parameters from the posterior.

        Args:
            n_samples: how many, for each observation.
            x: (C,) one observation, or (m, C) several.
            context: instead of x, (C,) or (1, C) for all draws, or (n_samples, C), one for each, as
                of `FlowDensity.sample`.
            random_state: by default that of the estimator, so that an integer repeats the draws.

        Returns:
            (n_samples, D) for one observation, (n_samples, m, D) for several.

        Raises:
            ValueError: for both or neither of x and context, or another number of columns.
        """
        if x is None:
            given = _observed(None, context)
            return super().sample(n_samples, context=given, random_state=random_state)
        check_is_fitted(self, "model_")
        check_draws(n_samples)
        observed, alone = _rows(_observed(x, context))
        C = self._encoded(observed, length(observed))
        assert C is not None
        state = check_random_state(self.random_state if random_state is None else random_state)
        seed = int(state.randint(2**31 - 1))
        generator = torch.Generator(self._device).manual_seed(seed)
        drawn: list[Array] = []
        for part in C.split(max(1, PART // n_samples)):
            z = self.model_.sample(n_samples, context=part.to(self._device), generator=generator)
            theta = self.preparation_.decode(z.flatten(0, 1))
            drawn.append(theta.reshape(n_samples, len(part), -1))
        theta = np.concatenate(drawn, axis=1)
        return theta[:, 0] if alone else theta

    def log_prob(self, theta: ArrayLike, x: ArrayLike) -> Array:
        """Log-density of parameters given what was observed, in nats and in their units, (n,).

        Args:
            theta: (n, D).
            x: (n, C), one for each; or (C,), or (1, C), for all.

        Raises:
            ValueError: for another number of rows or columns.
        """
        return self.score_samples(theta, self._for_all(x, length(theta)))

    def score(  # pyright: ignore[reportIncompatibleMethodOverride] - here x comes second
        self,
        theta: ArrayLike,
        x: ArrayLike | None = None,
        *,
        context: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Mean of ``log_prob``; a row counts as often as its ``sample_weight`` says."""
        given = _observed(x, context)
        return super().score(theta, context=given, sample_weight=sample_weight)

    def mode(
        self,
        x: ArrayLike,
        *,
        n_samples: int = 2000,
        bandwidth: float | None = None,
        random_state: Seed = None,
    ) -> Array:
        """The most probable parameters of each observation, by mean shift of draws.

        Args:
            x: (C,) or (m, C).
            n_samples: draws of each, of whose density the highest point is sought.
            bandwidth: of that density, as of `anabranch.algorithms.mean_shift.mean_shift_mode`.
            random_state: of the draws.

        Returns:
            (D,) or (m, D).
        """
        draws = self.sample(n_samples, x, random_state=random_state)
        if draws.ndim == 2:
            return mean_shift_mode(draws, bandwidth=bandwidth)
        modes = [mean_shift_mode(part, bandwidth=bandwidth) for part in draws.swapaxes(0, 1)]
        return np.stack(modes)

    def calibrate(
        self,
        theta: ArrayLike,
        x: ArrayLike,
        *,
        n_samples: int = 500,
        simulator: Simulator | None = None,
        random_state: Seed = None,
    ) -> Calibration:
        """Whether the posterior is right on average, by simulations that it has not seen.

        Args:
            theta: (m, D) parameters, drawn from the prior; a few hundred are enough.
            x: (m, C) what each simulated.
            n_samples: draws of each posterior.
            simulator: takes parameters (k, D) and gives what they simulate, (k, C): then draws are
                simulated again, and compared with x.
            random_state: of the draws.

        Returns:
            Ranks and their p-values, errors of intervals, the coverage of all parameters together,
            and the error of what is simulated again.

        Raises:
            ValueError: for another number of rows or columns.
        """
        truth = self._validated(theta, reset=False)
        draws = self.sample(n_samples, x, random_state=random_state).swapaxes(0, 1)
        observed = None if simulator is None else np.asarray(x, dtype=np.float64)
        return calibration(truth, draws, observed=observed, simulator=simulator)

    def _for_all(self, x: ArrayLike, n_rows: int) -> Any:
        """Observations of n rows, where one serves them all."""
        observed, alone = _rows(x)
        if not alone and length(observed) != 1:
            return observed
        return np.repeat(np.asarray(observed, dtype=np.float64), n_rows, axis=0)


def _rows(x: ArrayLike) -> tuple[Any, bool]:
    """Observations as a table, and whether a single one was given as a vector."""
    if np.ndim(x) == 1:
        return np.asarray(x)[None], True
    return x, False


def _observed(x: ArrayLike | None, context: ArrayLike | None) -> ArrayLike:
    if (x is None) == (context is None):
        given = "both" if context is not None else "neither"
        raise ValueError(f"x, what was observed, is needed once: by x or by context, got {given}")
    return context if x is None else x  # pyright: ignore[reportReturnType] - one is given
