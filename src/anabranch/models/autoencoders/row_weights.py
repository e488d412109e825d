"""Importance weights of rows under a latent density, by draws of q or by annealing."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from anabranch.algorithms.annealed_importance import AnnealedImportance, AnnealingPath
from anabranch.models.autoencoders.flow_vae import FlowVariationalAutoencoder
from anabranch.objectives import iwae

# Draws that are computed at once.
AT_ONCE = 8192
# Seeds of what serves all rows alike: draws, and the chains that find the steps of others.
DRAWS_SEED, PILOT_SEED = 0, 1


class Sandwich(NamedTuple):
    """Rows that a model has drawn, and bounds of their log-density under it, in nats.

    Attributes:
        x: the rows, (n, D).
        importance: lower bounds by importance sampling from q, (n,).
        lower: lower bounds by annealed importance sampling, (n,).
        upper: upper bounds by the same from the other end, (n,).
    """

    x: Tensor
    importance: Tensor
    lower: Tensor
    upper: Tensor


def importance_log_weights(
    model: FlowVariationalAutoencoder, x: Tensor, n_draws: int = 100
) -> Tensor:
    r"""Logs of :math:`p(x, z_m) / q(z_m \mid x)` at draws of q, in nats.

    The same noise serves all rows, so that what a row gets does not depend on the rows beside it.

    Args:
        model: evaluated as it is, without gradients.
        x: (N, D).
        n_draws: M.

    Returns:
        (M, N).

    Example:
        >>> from anabranch.models import flow_vae
        >>> model = flow_vae(3, latent=2, hidden=[8], seed=0)
        >>> weights = importance_log_weights(model, torch.zeros(5, 3), n_draws=4)
        >>> weights.shape, bool((weights == weights[:, :1]).all())
        (torch.Size([4, 5]), True)
    """

    def of_row(row: Tensor) -> Tensor:
        source = Generator(x.device).manual_seed(DRAWS_SEED)
        reconstruction, divergence = model.terms(row[None], n_draws, source)
        return (reconstruction - divergence).squeeze(1)

    return _each(of_row, n_draws, x)


def annealed_log_weights(
    model: FlowVariationalAutoencoder,
    x: Tensor,
    n_draws: int = 100,
    how: AnnealedImportance | None = None,
) -> Tensor:
    """Logs of weights of chains that go from the prior to the posterior of each row, in nats.

    What they tell does not depend on how good q is, nor on whether its density is known.

    Args:
        model: evaluated as it is, without gradients.
        x: (N, D).
        n_draws: M, chains of each row.
        how: temperatures and moves; None for the defaults.

    Returns:
        (M, N).

    Example:
        >>> from anabranch.models import flow_vae
        >>> model = flow_vae(3, latent=2, hidden=[8], seed=0)
        >>> annealed_log_weights(model, torch.zeros(5, 3), 4, AnnealedImportance(5)).shape
        torch.Size([4, 5])
    """
    annealing = how or AnnealedImportance()

    def of_row(row: Tensor) -> Tensor:
        path, steps = _path(model, row), _steps(model, row, n_draws, annealing)
        source = Generator(x.device).manual_seed(DRAWS_SEED)
        z = model.prior.sample(n_draws, generator=source)
        return annealing.forward(path, z, steps, source).log_weights

    return _each(of_row, n_draws, x)


def sandwich(
    model: FlowVariationalAutoencoder,
    n: int,
    n_draws: int = 100,
    how: AnnealedImportance | None = None,
    generator: Generator | None = None,
) -> Sandwich:
    """Rows drawn from the model, whose log-density lies between two bounds.

    The code that a row was drawn from is a draw of its posterior, where chains back to the prior
    may begin: bidirectional Monte Carlo. Both bounds hold in expectation.

    Args:
        model: evaluated as it is, without gradients.
        n: how many rows.
        n_draws: draws and chains of each.
        how: temperatures and moves; None for the defaults.
        generator: source of the rows.

    Example:
        >>> from anabranch.models import flow_vae
        >>> model = flow_vae(3, latent=2, hidden=[8], seed=0).double()
        >>> source = torch.Generator().manual_seed(0)
        >>> found = sandwich(model, 20, 50, AnnealedImportance(20), source)
        >>> bool((found.upper - found.lower).mean().abs() < 0.05)
        True
    """
    annealing = how or AnnealedImportance()
    with torch.no_grad():
        codes = model.prior.sample(n, generator=generator)
        x = model.decoder.sample(codes, generator)

    def back(row: Tensor, code: Tensor) -> Tensor:
        path, steps = _path(model, row), _steps(model, row, n_draws, annealing)
        source = Generator(x.device).manual_seed(DRAWS_SEED)
        return annealing.backward(path, code.expand(n_draws, -1), steps, source).log_weights

    return Sandwich(
        x,
        importance=iwae(importance_log_weights(model, x, n_draws)),
        lower=iwae(annealed_log_weights(model, x, n_draws, annealing)),
        upper=-iwae(_each(back, n_draws, x, codes)),
    )


def _path(model: FlowVariationalAutoencoder, row: Tensor) -> AnnealingPath:
    """From the prior to the posterior of a row (D,)."""

    def log_likelihood(z: Tensor) -> Tensor:
        return model.decoder.log_prob(z, row.expand(len(z), -1))

    return AnnealingPath(model.prior.log_prob, log_likelihood)


def _steps(
    model: FlowVariationalAutoencoder, row: Tensor, n_draws: int, how: AnnealedImportance
) -> Tensor:
    source = Generator(row.device).manual_seed(PILOT_SEED)
    z = model.prior.sample(n_draws, generator=source)
    return how.tuned(_path(model, row), z, source)


@torch.no_grad()
def _each(of_row: Callable[..., Tensor], n_draws: int, *rows: Tensor) -> Tensor:
    """Row by row in one batch: random numbers are those that each row would get alone."""
    at_once = max(1, AT_ONCE // n_draws)
    return torch.vmap(of_row, out_dims=1, randomness="same", chunk_size=at_once)(*rows)
