"""Discrete flows: arithmetic modulo K."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from anabranch.contracts.domain import Integers
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional.modular import (
    coprime,
    divided,
    inverse,
    negative,
    one_hot_argmax,
    shifted,
)
from anabranch.networks.degrees import DegreeMLP


class OneHot(Transform):
    """Whole numbers as one-hot vectors, term zero.

    Args:
        features: D.
        levels: K; numbers are 0..K-1.

    Raises:
        ValueError: for fewer than two levels.

    Source: Tran et al. (2019), "Discrete flows", arXiv:1905.10347.

    Example:
        >>> OneHot(2, 3).encode(torch.tensor([[2.0, 0.0]]))[0]
        tensor([[[0., 0., 1.],
                 [1., 0., 0.]]])
    """

    def __init__(self, features: int, levels: int) -> None:
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        super().__init__((features,), (features, levels))
        self.levels = levels
        self.domain, self.codomain = Integers(levels), Integers(2)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        hot = torch.nn.functional.one_hot(x.long(), self.levels).to(x.dtype)
        return hot, torch.zeros_like(x[..., 0])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = z.argmax(-1).to(z.dtype)
        return x, torch.zeros_like(x[..., 0])


class ModuloAffine(Transform):
    r"""One-hot numbers moved and multiplied modulo K, by what those of a lower degree say.

    .. math:: z_d = \sigma_d^{-1} (x_d - \mu_d) \bmod K, \qquad
        \mu_d, \sigma_d = \arg\max \text{ of logits } f_d(x_{<d})

    Scales are coprime with K, by a mask. A discrete map relabels: the term is zero. Gradients go
    through each argmax straight, as through a softmax; encoding takes one pass, decoding one for
    each degree. For K = 2 it is the exclusive or.

    Args:
        degrees: of each of the D numbers: 0, 1, 2, ... for an autoregressive map, zeros and ones
            for a bipartite one.
        levels: K.
        hidden: hidden sizes of the network; none for a table of logits of each pair of columns.
        scale: whether numbers are multiplied, too.
        temperature: of the softmax whose gradient is taken.
        generator: source of the initial logits.

    Raises:
        ValueError: for no degrees, negative ones, fewer than two levels, or a temperature that is
            not positive.

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), "Discrete flows: invertible generative models
    of discrete data", arXiv:1905.10347.

    Example:
        >>> flow = ModuloAffine([0, 1], 5, generator=torch.Generator().manual_seed(0))
        >>> x = torch.eye(5)[[1, 4]].unsqueeze(0)
        >>> bool((flow.decode(flow.encode(x)[0])[0] == x).all())
        True
    """

    domain = codomain = Integers(2)

    def __init__(
        self,
        degrees: Sequence[int],
        levels: int,
        *,
        hidden: Sequence[int] = (),
        scale: bool = True,
        temperature: float = 0.1,
        generator: Generator | None = None,
    ) -> None:
        if not degrees or min(degrees) < 0:
            raise ValueError(f"degrees must be numbers from 0 on, got {list(degrees)}")
        if levels < 2:
            raise ValueError(f"levels must be at least 2, got {levels}")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        super().__init__((len(degrees), levels))
        self.degrees, self.levels, self.temperature = list(degrees), levels, temperature
        self.scale = scale and levels > 2
        n_outputs = levels * (1 + self.scale)
        self.network = DegreeMLP(degrees, levels, n_outputs, hidden=hidden, generator=generator)
        self.register_buffer("barred", ~coprime(levels), False)

    def _told(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        logits = self.network(x)
        shift = one_hot_argmax(logits[..., : self.levels], self.temperature)
        if not self.scale:
            return shift, None
        masked = logits[..., self.levels :].masked_fill(self.barred, -torch.inf)
        return shift, one_hot_argmax(masked, self.temperature)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        shift, scale = self._told(x)
        z = shifted(x, shift)
        if scale is not None:
            z = divided(z, scale)
        return z, torch.zeros_like(z[..., 0, 0])

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = torch.zeros_like(z)
        for degree in sorted(set(self.degrees)):
            shift, scale = self._told(x)
            moved = z if scale is None else divided(z, inverse(scale))
            moved = shifted(moved, negative(shift))
            here = torch.tensor([d == degree for d in self.degrees], device=z.device)
            x = torch.where(here.unsqueeze(-1), moved, x)
        return x, torch.zeros_like(x[..., 0, 0])
