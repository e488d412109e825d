"""Continuous flows: the solution of a differential equation as a transform."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch
from anabranch.functional.numbers import check_choice, check_whole
from anabranch.functional.runge_kutta import State, runge_kutta
from anabranch.functional.shapes import Shape
from anabranch.networks.velocity import VelocityNet

TRACES = ("exact", "hutchinson")


class ContinuousFlow(Transform):
    r"""Move points along the velocities of a network, from noise at t = 0 to data at t = 1.

    .. math:: \frac{dx}{dt} = v(t, x, c), \qquad
        \mathrm{term} = -\int_0^1 \operatorname{tr} \frac{\partial v}{\partial x}\, dt

    ``encode`` goes back in time, ``decode`` forward, both in equal steps of fourth order, whose
    error falls with the fourth power of ``n_steps``; the term is that of the equation. Fresh, it
    is the identity. It is trained by maximum likelihood, or much faster, without solving anything,
    by `anabranch.objectives.FlowMatching`.

    Args:
        features: D.
        hidden: hidden sizes of the network of velocities.
        n_steps: steps of the solver, of four evaluations each.
        trace: "exact", at the cost of D derivatives, or "hutchinson", by one random direction for
            each row: the term is then right in the mean, and random.
        context_features: size of the context; 0 for none.
        batch_shape: the component axis.
        generator: source of the initial weights.

    Raises:
        ValueError: for no steps, or another trace.

    Source: Chen et al. (2018), "Neural ordinary differential equations", arXiv:1806.07366;
    Grathwohl et al. (2019), "FFJORD", arXiv:1810.01367.

    Example:
        >>> flow = ContinuousFlow(2, hidden=(8,), n_steps=4)
        >>> z, term = flow.encode(torch.tensor([[1.0, 2.0]]))
        >>> z.detach(), term.detach()
        (tensor([[1., 2.]]), tensor([0.]))
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: Sequence[int] = (64, 64),
        n_steps: int = 16,
        trace: str = "exact",
        context_features: int = 0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape, context_shape=context_features)
        self.n_steps, self.trace = n_steps, trace
        check_whole(self, ("n_steps",), 1)
        check_choice(self, "trace", TRACES)
        self.exact = trace == "exact"
        self.stochastic = not self.exact
        self.velocity = VelocityNet(
            features,
            hidden,
            context_features=context_features,
            batch_shape=batch_shape,
            generator=generator,
        )

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._run(x, context, generator, back=True)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._run(z, context, generator, back=False)

    def _run(
        self, x: Tensor, context: Tensor | None, generator: Generator | None, *, back: bool
    ) -> Pair:
        x = expand_batch(x, self.batch_shape, 1)
        probe = None
        if self.stochastic:  # one direction for the whole way, or the steps would not be smooth
            noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
            probe = torch.where(noise < 0.5, -1.0, 1.0).to(x)

        def slope(t: float, state: State) -> State:
            now = x.new_full((), t)
            if probe is None:
                return self.velocity.divergence(now, state[0], context)
            velocity, along = self.velocity.with_derivatives(
                now, state[0], context, probe.unsqueeze(0)
            )
            assert along is not None
            return velocity, (along[0] * probe).sum(-1)

        ends = (1.0, 0.0) if back else (0.0, 1.0)
        how = {"start": ends[0], "end": ends[1], "n_steps": self.n_steps}
        y, term = runge_kutta(slope, (x, x.new_zeros(x.shape[:-1])), **how)
        return y, term
