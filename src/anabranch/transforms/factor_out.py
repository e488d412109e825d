"""Factor-out: a part of an event leaves the flow, with a distribution of its own."""

from torch import Generator, Tensor

from anabranch.contracts.distribution import Distribution
from anabranch.contracts.transform import Pair, Transform
from anabranch.transforms.splits import Checkerboard, Split


class FactorOut(Transform):
    r"""Keep one part of an event, and score the other by a distribution given the kept part.

    .. math:: z = x_A, \qquad \mathrm{term} = \log p(x_B \mid x_A)

    The density is exact; ``decode`` draws :math:`x_B`. With a `Channels` split after each level of
    couplings it makes a flow of several scales, whose fine details are not carried through all
    levels.

    Args:
        split: which part is kept.
        prior: distribution of the other part; it may take the kept part as its context.

    Raises:
        ValueError: where the prior's event is not the part that leaves, or its context not the
            part that is kept; or for a checkerboard, whose kept part is no smaller image.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803, section 3.6; learned conditional
    priors: Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039; as a surjection: Nielsen et al.
    (2020), arXiv:2007.02731.

    Example:
        >>> import torch
        >>> from anabranch.distributions import Normal
        >>> from anabranch.transforms import Half
        >>> FactorOut(Half(3), Normal(2)).encode(torch.tensor([[7.0, 0.0, 0.0]]))
        (tensor([[7.]]), tensor([-1.8379]))
    """

    bijective = False

    def __init__(self, split: Split, prior: Distribution) -> None:
        if isinstance(split, Checkerboard):
            raise ValueError("a checkerboard keeps no smaller image: factor out channels")
        if prior.event_shape != split.told_shape:
            raise ValueError(
                f"FactorOut: the split gives away {split.told_shape}, "
                f"the prior takes {prior.event_shape}"
            )
        if prior.context_shape not in ((), split.kept_shape):
            raise ValueError(
                f"FactorOut: the split keeps {split.kept_shape}, "
                f"the prior takes a context of shape {prior.context_shape}"
            )
        super().__init__(split.shape, split.kept_shape, batch_shape=prior.batch_shape)
        self.split, self.prior = split, prior
        self.domain = self.codomain = prior.domain
        self.exact, self.stochastic = prior.exact, prior.stochastic

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        columnar = self.split.columnar
        kept, gone = self.split.split(x.mT if columnar else x)
        kept, gone = (kept.mT, gone.mT) if columnar else (kept, gone)
        return kept, self.prior.log_prob(gone, self._given(kept), generator=generator)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        lead = z.shape[: z.ndim - len(self.latent_shape)]
        given = self._given(z)
        shape = lead[len(self.batch_shape) :] if len(lead) > 1 else lead
        gone, log_prob = self.prior.rsample_and_log_prob(
            () if given is not None else tuple(shape), given, generator
        )
        z = z.expand(*log_prob.shape, *self.latent_shape)
        columnar = self.split.columnar
        kept, gone = (z.mT, gone.mT) if columnar else (z, gone)
        x = self.split.merge(kept, gone)
        return (x.mT if columnar else x), -log_prob

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        columnar = self.split.columnar
        kept, gone = self.split.split(x.mT if columnar else x)
        kept, gone = (kept.mT, gone.mT) if columnar else (kept, gone)
        self.prior.initialize(gone, self._given(kept), generator=generator)

    def _given(self, kept: Tensor) -> Tensor | None:
        return kept if self.prior.context_shape else None
