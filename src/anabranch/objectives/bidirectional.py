"""Both directions of an invertible network at once."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.distributions import ContextNormal, Flow
from anabranch.functional import inverse_multiquadratic_mmd


class Bidirectional(Objective):
    r"""What an invertible network predicts, and how its two sides are distributed.

    .. math::
        L = w_y\, |f_y(x) - y|^2 + w_z\, \mathrm{MMD}^2\bigl((\bar f_y(x), f_z(x)), (y, z)\bigr)
        + r\, w_x\, \mathrm{MMD}^2\bigl(f^{-1}(y, z), x\bigr) + w_r\, |f^{-1}(f(x) + e) - x|^2

    with :math:`z \sim \mathcal N(0, I)`, :math:`\bar f_y` without gradient, so that the second term
    shapes z alone, and e as narrow as the padding. What pads the latent side is to be zero, as y is
    to be met, and is drawn anew on the way back. Gradients of both directions make one step.

    Args:
        flow: over a `ContextNormal`, such as `anabranch.models.inn`.
        forward: :math:`w_y`.
        latent: :math:`w_z`.
        backward: :math:`w_x`; its ramp r is the buffer ``ramp``, which a schedule may write.
        reconstruction: :math:`w_r`.
        widths: of the kernels, see `anabranch.functional.inverse_multiquadratic_mmd`.

    Attributes:
        ramp: r, 1 where nothing writes it.

    Batches are dicts of ``x`` (N, D) and ``context`` (N, C), the observations. The term "sum" is
    the loss with r = 1, by which states of different steps can be compared.

    Raises:
        TypeError: for a flow over another base.

    Source: Ardizzone et al. (2018), "Analyzing inverse problems with invertible neural networks",
    arXiv:1808.04730, section 3.3.

    Example:
        >>> from anabranch.transforms import Compose, Reverse
        >>> flow = Flow(ContextNormal(2, context_features=1, free=1), Compose([Reverse(2)]))
        >>> batch = {"x": torch.randn(50, 2), "context": torch.zeros(50, 1)}
        >>> sorted(Bidirectional(flow)(batch).terms)
        ['backward', 'forward', 'latent', 'reconstruction', 'sum']
    """

    stochastic = True
    ramp: Tensor

    def __init__(
        self,
        flow: Flow,
        *,
        forward: float = 3.0,
        latent: float = 300.0,
        backward: float = 400.0,
        reconstruction: float = 3.0,
        widths: Sequence[float] = (0.05, 0.2, 0.9),
    ) -> None:
        super().__init__()
        if not isinstance(flow.base, ContextNormal):
            raise TypeError("Bidirectional needs a Flow over a ContextNormal, got another density")
        self.distribution, self.base, self.widths = flow, flow.base, tuple(widths)
        self.weights = {
            "forward": forward,
            "latent": latent,
            "backward": backward,
            "reconstruction": reconstruction,
        }
        self.register_buffer("ramp", torch.ones(()))

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The objective, and its terms without their weights."""
        x, y = batch["x"], batch["context"]
        drawn = self.base.rsample((), y, generator)
        terms = self._there(x, y, drawn, generator) | self._back(x, drawn, generator)
        weighted = {name: self.weights[name] * term for name, term in terms.items()}
        whole = torch.stack(list(weighted.values())).sum()
        total = whole - (1 - self.ramp) * weighted["backward"]
        return Loss(total, terms | {"sum": whole})

    def _there(
        self, x: Tensor, y: Tensor, drawn: Tensor, generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        """From x: is y met, is z normal and independent of it, and does x come back?"""
        u, _ = self.distribution.transform.encode(x, y, generator=generator)
        observed, padding, free = self.base.parts(u)
        off = torch.cat((observed - y, padding), -1)
        own = torch.cat((observed.detach(), free), -1)
        wanted = torch.cat((y, self.base.parts(drawn)[2]), -1)
        noise = torch.randn(u.shape, generator=generator, dtype=u.dtype, device=u.device)
        renewed = torch.cat((observed, torch.zeros_like(padding), free), -1)
        back, _ = self.distribution.transform.decode(
            renewed + self.base.padding_std * noise, y, generator=generator
        )
        return {
            "forward": off.square().mean(),
            "latent": inverse_multiquadratic_mmd(own, wanted, self.widths),
            "reconstruction": (back - x).square().mean(),
        }

    def _back(
        self, x: Tensor, drawn: Tensor, generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        """From observations and drawn latents: is what comes back distributed as x is?"""
        back, _ = self.distribution.transform.decode(drawn, None, generator=generator)
        return {"backward": inverse_multiquadratic_mmd(back, x, self.widths)}
