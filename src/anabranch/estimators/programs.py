"""What a fitted model says of rows, as one module that can leave Python."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anabranch.distributions import Distribution, Flow
from anabranch.transforms import Transform, fold_codes

# Rows that a program is checked on.
CHECKED = 1000


@dataclass(frozen=True)
class Program:
    """A module from rows to answers, and what it is checked by.

    Attributes:
        module: from the inputs, in this order, to a dict of tensors, a row for each row.
        inputs: (n, ...) rows to check it on, drawn from the model, by the names of the inputs.
        expected: what the model itself says of them, for some of the outputs.
    """

    module: nn.Module
    inputs: Mapping[str, NDArray[Any]]
    expected: Mapping[str, NDArray[Any]]


class Prepared(nn.Module):
    """Rows in the units of the data, float64, as networks see them; standardising is inside.

    Args:
        transform: the fixed part before the networks; None where rows go to the model as they are.
        levels: of integers that networks see as shares of the highest one, where they see no flow.
    """

    def __init__(self, transform: Transform | None, levels: int | None = None) -> None:
        super().__init__()
        self.transform = copy.deepcopy(transform)
        self.levels = levels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What densities see, float32, and the log-density term, float64."""
        if self.transform is None:
            return x, torch.zeros_like(x.flatten(1)[:, 0], dtype=torch.float64)
        z, term = self.transform.encode(x)
        return z.float(), term

    def seen(self, x: Tensor, z: Tensor) -> Tensor:
        """What posterior networks see."""
        return z if self.levels is None else (x / (self.levels - 1)).float()


class DensityScores(nn.Module):
    """``log_prob`` (n,) of rows, and their ``latents`` (n, D) where they are a flow's.

    Args:
        density: in float32.
        prepared: what stands before it.
        scale: what stands before a context, float64; None where a context is taken as it is.

    Example:
        >>> from anabranch.models import realnvp
        >>> scores = DensityScores(realnvp(2, n_layers=1, seed=0), Prepared(None))
        >>> sorted(scores(torch.zeros(3, 2)))
        ['latents', 'log_prob']
    """

    def __init__(
        self, density: Distribution, prepared: Prepared, scale: Transform | None = None
    ) -> None:
        super().__init__()
        self.density, self.prepared = as_it_is(density), prepared
        self.scale = copy.deepcopy(scale)

    def forward(self, x: Tensor, context: Tensor | None = None) -> dict[str, Tensor]:
        """What the density says of rows (n, *event), given a context (n, C)."""
        z, term = self.prepared(x)
        if context is not None and self.scale is not None:
            context = self.scale.encode(context)[0].float()
        density: Any = self.density
        found = {"log_prob": density.log_prob(z, context).double() + term}
        if isinstance(density, Flow):
            found["latents"] = density.transform.encode(z, context)[0]
        return found


class FoldScores(DensityScores):
    """``log_prob``, ``latents`` and the ``posterior`` (n, K) of rows under a flow with folds.

    Args:
        density: in float32, with folds in its transform.
        prepared: what stands before it.
        codes: (K, n_folds) branches of the clusters.
    """

    codes: Tensor

    def __init__(self, density: Flow, prepared: Prepared, codes: NDArray[np.int64]) -> None:
        super().__init__(density, prepared)
        self.register_buffer("codes", torch.as_tensor(codes))

    def forward(self, x: Tensor, context: Tensor | None = None) -> dict[str, Tensor]:
        """What the flow says of rows (n, D); one cluster has all the probability."""
        density: Any = self.density
        codes = fold_codes(density.transform, self.prepared(x)[0])
        labels = (codes.unsqueeze(1) != self.codes).sum(-1).argmin(1)
        posterior = nn.functional.one_hot(labels, len(self.codes)).double()
        return super().forward(x, context) | {"posterior": posterior}


class MixtureScores(nn.Module):
    """``log_joint`` (n, K), ``log_prob`` (n,) and ``posterior`` (n, K) of rows.

    Args:
        joint: a module with ``joint_log_prob`` (K, n) of what densities see.
        prepared: what stands before it.
        log_q: a module with ``log_q`` (K, n) of what networks see, where the posterior is not that
            by Bayes' rule.
    """

    def __init__(self, joint: nn.Module, prepared: Prepared, log_q: nn.Module | None) -> None:
        super().__init__()
        self.joint, self.prepared = as_it_is(joint), prepared
        self.q = None if log_q is None else as_it_is(log_q)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What the mixture says of rows (n, D)."""
        z, term = self.prepared(x)
        parts: Any = self.joint, self.q
        log_joint = parts[0].joint_log_prob(z).double().mT + term.unsqueeze(-1)
        log_prob = torch.logsumexp(log_joint, 1)
        if parts[1] is None:
            posterior = torch.softmax(log_joint, 1)
        else:
            posterior = parts[1].log_q(self.prepared.seen(x, z)).double().exp().mT
        return {"log_joint": log_joint, "log_prob": log_prob, "posterior": posterior}


class PosteriorScores(nn.Module):
    """The ``posterior`` (n, K) of rows under a model without a density that one pass tells.

    Args:
        model: a network.
        prepared: what stands before it.
        method: the name of its method from what it sees to logarithms (K, n).
        n_components: K; what the method does not tell of is zero.
    """

    def __init__(
        self, model: nn.Module, prepared: Prepared, method: str, n_components: int
    ) -> None:
        super().__init__()
        self.model, self.prepared = as_it_is(model), prepared
        self.method, self.n_components = method, n_components

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """What the network says of rows (n, D)."""
        z, _ = self.prepared(x)
        told: Callable[[Tensor], Tensor] = getattr(self.model, self.method)
        posterior = told(self.prepared.seen(x, z)).double().exp().mT
        missing = self.n_components - posterior.shape[1]
        return {"posterior": nn.functional.pad(posterior, (0, max(0, missing)))}


class Gaussians(nn.Module):
    r"""A Gaussian mixture in double precision, :math:`\log \pi_k + \log N(x; m_k, L_k L_k^\top)`.

    Args:
        weights: (K,).
        means: (K, D).
        scale_tril: (K, D, D).

    Example:
        >>> one = Gaussians(np.ones(1), np.zeros((1, 1)), np.ones((1, 1, 1)))
        >>> one.joint_log_prob(torch.zeros(1, 1, dtype=torch.float64))
        tensor([[-0.9189]], dtype=torch.float64)
    """

    def __init__(
        self,
        weights: NDArray[np.float64],
        means: NDArray[np.float64],
        scale_tril: NDArray[np.float64],
    ) -> None:
        super().__init__()
        whiten = np.linalg.inv(scale_tril)
        log_det = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(1)
        constant = np.log(weights) + log_det - 0.5 * means.shape[1] * np.log(2 * np.pi)
        self.register_buffer("means", torch.as_tensor(means).unsqueeze(1))
        self.register_buffer("whiten", torch.as_tensor(whiten).mT.contiguous())
        self.register_buffer("constant", torch.as_tensor(constant).unsqueeze(-1))

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """Log p(x, k), (K, n), of rows (n, D) in float64."""
        parts: Any = self.means, self.whiten, self.constant
        z = (x - parts[0]) @ parts[1]
        return parts[2] - 0.5 * z.square().sum(-1)


def as_it_is(module: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode, that asks for no gradients."""
    return copy.deepcopy(module).cpu().eval().requires_grad_(False)
