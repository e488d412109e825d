"""Flow matching: continuous flows trained without solving their equation."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import Distribution, Flow
from anabranch.transforms import Compose, ContinuousFlow, Transform


class FlowMatching(Objective):
    r"""The mean square between the velocity and that of straight lines from noise to data.

    .. math:: E\, \lVert v(t, x_t, c) - (x_1 - (1 - \sigma) x_0) \rVert^2, \qquad
        x_t = (1 - (1 - \sigma) t)\, x_0 + t x_1

    with data x_1, draws x_0 of the base and t uniform in (0, 1). Its minimum is the velocity whose
    flow takes the base to the data; the loss itself is no likelihood, and is not zero there.

    Args:
        flow: a `Flow` over a `ContinuousFlow`, or over a `Compose` that ends with one; what comes
            before stays as it is.
        sigma_min: :math:`\sigma`, the noise that is left at t = 1.

    Raises:
        TypeError: for a flow that ends otherwise.
        ValueError: for a sigma_min outside [0, 1).

    Batches are dicts of ``x`` (N, D), and optionally ``context`` (N, C) and ``weights`` (N,), what
    each row counts.

    Source: Lipman et al. (2023), "Flow matching for generative modeling", arXiv:2210.02747.

    Example:
        >>> from anabranch.distributions import Normal
        >>> flow = Flow(Normal(2), ContinuousFlow(2, hidden=(8,)))
        >>> loss = FlowMatching(flow)({"x": torch.zeros(64, 2)})
        >>> bool(0 < loss.total < 4)
        True
    """

    stochastic = True

    def __init__(self, flow: Distribution, *, sigma_min: float = 1e-4) -> None:
        super().__init__()
        if not isinstance(flow, Flow):
            raise TypeError(f"FlowMatching trains a Flow, got {type(flow).__name__}")
        before, last = _parts(flow.transform)
        if not isinstance(last, ContinuousFlow):
            raise TypeError(
                f"FlowMatching trains a flow that ends with a ContinuousFlow, got "
                f"{type(last).__name__}"
            )
        if not 0 <= sigma_min < 1:
            raise ValueError(f"sigma_min must be in [0, 1), got {sigma_min}")
        self.flow, self.sigma_min = flow, sigma_min
        self._before = before  # modules of the flow, not of this one

    def forward(self, batch: Mapping[str, Tensor], *, generator: Generator | None = None) -> Loss:
        """The mean square, a sum over numbers."""
        context, weights = batch.get("context"), batch.get("weights")
        data = self._latent(batch["x"], context)
        n, axes = len(data), self.flow.batch_shape
        shape = (*axes, n)
        own = context if self.flow.base.context_shape else None
        if self.flow.base.batch_shape == axes:
            noise = self.flow.base.sample(() if own is not None else n, own, generator)
        else:
            noise = self.flow.base.sample(shape, None, generator)
        t = torch.rand(shape, generator=generator, dtype=data.dtype, device=data.device)
        left = 1 - self.sigma_min
        place = (1 - left * t).unsqueeze(-1) * noise + t.unsqueeze(-1) * data
        velocity = self._velocity(t, place, context)
        squares = (velocity - (data - left * noise)).square().sum(-1)
        loss = squares.mean() if weights is None else (squares * weights).mean() / weights.mean()
        return Loss(loss, {"matching": loss})

    def _velocity(self, t: Tensor, x: Tensor, context: Tensor | None) -> Tensor:
        _, last = _parts(self.flow.transform)
        assert isinstance(last, ContinuousFlow)
        return last.velocity(t, x, context)

    @torch.no_grad()
    def _latent(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Data as the continuous part sees them."""
        for part in self._before:
            x, _ = part.encode(x, context if part.context_shape else None)
        return x


def _parts(transform: Transform) -> tuple[list[Transform], Transform]:
    """What comes before the last part, and it."""
    if isinstance(transform, Compose):
        before, last = transform.transforms[:-1], transform.transforms[-1]
        inner, last = _parts(last)
        return [*before, *inner], last
    return [], transform
