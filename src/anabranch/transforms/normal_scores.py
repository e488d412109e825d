"""Columns as normal scores, by their distribution functions."""

from torch import Generator, Tensor

from anabranch.contracts.marginals import Marginals
from anabranch.contracts.protocols import FitsRows
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import as_rows, standard_normal_log_prob


class NormalScores(Transform):
    r"""Each number where the normal law has its share of probability.

    .. math:: z_d = \Phi^{-1}\bigl(F_d(x_d)\bigr), \qquad
        \mathrm{term} = \sum_d \log p_d(x_d) - \log\varphi(z_d)

    What stands before a copula: in front of a vine whose latents are standard normal it is Sklar's
    theorem, and the marginals of the flow are these, whatever the vine is.

    Args:
        marginals: independent numbers with distribution functions, such as `KernelDensity`.

    Source: Sklar (1959), "Fonctions de répartition à n dimensions et leurs marges".

    Example:
        >>> import torch
        >>> from anabranch.distributions import Logistic
        >>> z, _ = NormalScores(Logistic(1)).encode(torch.tensor([[0.0], [2.0]]))
        >>> z
        tensor([[0.0000],
                [1.1790]])
    """

    def __init__(self, marginals: Marginals) -> None:
        super().__init__(
            marginals.event_shape,
            batch_shape=marginals.batch_shape,
            context_shape=marginals.context_shape,
        )
        self.marginals, self.domain = marginals, marginals.domain

    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        """Fit the marginals to rows, where rows set them; see `FitsRows`."""
        if isinstance(self.marginals, FitsRows):
            self.marginals.fit_rows(x, weights)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        z = self.marginals._scores(x, context)
        return z, self._term(x, z, context, generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = self.marginals._from_scores(z, context)
        return x, -self._term(x, z, context, generator)

    def _term(
        self, x: Tensor, z: Tensor, context: Tensor | None, generator: Generator | None
    ) -> Tensor:
        known = self.marginals._log_prob(x, context, generator)
        return known - standard_normal_log_prob(as_rows(z, self.event_shape))
