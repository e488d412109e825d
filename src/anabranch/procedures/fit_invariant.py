"""A posterior network trained alone, to answer alike for a row and for its perturbation."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from anabranch.contracts import Objective
from anabranch.networks import MLP, Linear
from anabranch.networks.normalized import NormalizedLinear
from anabranch.objectives import Loss, balance, consistency, shared_information
from anabranch.objectives.perturbations import Perturbation
from anabranch.training import FitOptions, FitResult, ScheduledBuffer, fit

SCORED_ROWS = 10_000


class InvariantPosterior(Objective):
    r"""Clusters without densities: consistency plus balance.

    .. math:: \mathcal L = E\, \mathrm{KL}(q(\cdot \mid x) \,\|\, q(\cdot \mid x''))
        + \lambda\, [E\, H(q(\cdot \mid x)) - w\, H(E\, q(\cdot \mid x))]

    with x'' a perturbation of x, and q(. | x) held fixed in the first term. Without the balance,
    the best answer is the same one for all rows.

    The network may answer several such questions at once: its outputs are the logits of one head
    after another, and the loss is the sum of theirs. Heads are restarts at the price of one, and
    heads with more clusters than are wanted teach the layers below what to tell apart.

    Source: Hu, Miyato, Tokui, Matsumoto, Sugiyama (2017), "Learning discrete representations via
    information maximizing self-augmented training", arXiv:1702.08720; heads and overclustering: Ji,
    Henriques, Vedaldi (2019), "Invariant information clustering", arXiv:1807.06653.

    Args:
        network: from (N, D) to (N, sum of heads) logits.
        perturbation: what the answers should not depend on.
        heads: numbers of clusters, one for each head; those that are wanted come first, and all
            have the same number.
        weight: lambda.
        spread: w.
        half_precision: evaluate the network in bfloat16, which modern processors do faster.

    Batches are dicts with ``x`` (N, D). In evaluation mode the terms are ``consistency``,
    ``entropy_q``: E H(q(.|x)), ``entropy_mean_q``: H(E q) and ``shared_information``, of the best
    wanted head, in nats.

    Attributes:
        ramp: factor of the loss of the wanted heads, for a schedule to raise.
        n_wanted: how many they are.

    Raises:
        ValueError: for a negative weight or spread, or no heads.

    Example:
        >>> from anabranch.networks import MLP
        >>> from anabranch.objectives.perturbations import GaussianNoise
        >>> model = InvariantPosterior(MLP(2, 3), GaussianNoise(0.1), heads=(3,))
        >>> sorted(model.eval()({"x": torch.zeros(4, 2)}).terms)
        ['consistency', 'entropy_mean_q', 'entropy_q', 'shared_information']
    """

    stochastic = True
    ramp: Tensor

    def __init__(
        self,
        network: nn.Module,
        perturbation: Perturbation,
        *,
        heads: Sequence[int],
        weight: float = 0.1,
        spread: float = 4.0,
        half_precision: bool = False,
    ) -> None:
        for name, value in {"weight": weight, "spread": spread}.items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not heads or min(heads) < 1:
            raise ValueError(f"heads must be positive numbers of clusters, got {heads!r}")
        super().__init__()
        self.network, self.perturbation, self.heads = network, perturbation, tuple(heads)
        self.weight, self.spread, self.half_precision = weight, spread, half_precision
        self.n_wanted = len(list(next(groupby(self.heads))[1]))
        self.register_buffer("ramp", torch.ones(()))

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The loss of a batch; in evaluation mode with terms."""
        answers, moved = self._answers(batch["x"], generator)
        losses = self._losses(answers, moved)
        wanted, finer = losses[: self.n_wanted], losses[self.n_wanted :]
        terms = {} if self.training else _terms(answers[0], moved[0])
        return Loss(self.ramp * wanted.sum() + finer.sum(), terms)

    @torch.no_grad()
    def best_head(self, x: Tensor, generator: torch.Generator | None = None) -> int:
        """The wanted head that keeps most information on rows under the perturbation."""
        answers, moved = self._answers(x, generator)
        return int(shared_information(answers[0], moved[0]).argmax())

    def log_q(self, x: Tensor) -> list[Tensor]:
        """Log q(c|x): a (K, H, N) for each run of H heads with K clusters."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half_precision):
            logits = self.network(x)
        runs = [(size, len(list(run))) for size, run in groupby(self.heads)]
        parts = logits.float().mT.split([size * count for size, count in runs])
        return [
            torch.log_softmax(part.unflatten(0, (count, size)).transpose(0, 1), dim=0)
            for part, (size, count) in zip(parts, runs, strict=True)
        ]

    def _answers(
        self, x: Tensor, generator: torch.Generator | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Log q at rows and at their perturbations, in one evaluation, which is faster than two."""
        moved = self.perturbation(x, self._stacked, generator)
        both = [log_q.split(len(x), dim=-1) for log_q in self.log_q(torch.cat([x, moved]))]
        return [first for first, _ in both], [second for _, second in both]

    def _stacked(self, x: Tensor) -> Tensor:
        return torch.cat([log_q.flatten(0, 1) for log_q in self.log_q(x)])

    def _losses(self, answers: list[Tensor], moved: list[Tensor]) -> Tensor:
        """(number of heads,)."""
        return torch.cat(
            [
                consistency(held, log_q).mean(-1) + self.weight * balance(held, self.spread)
                for held, log_q in zip(answers, moved, strict=True)
            ]
        )


def _terms(answers: Tensor, moved: Tensor) -> dict[str, Tensor]:
    shared = shared_information(answers, moved)
    best = int(shared.argmax())
    held, log_q = answers[:, best], moved[:, best]
    return {
        "consistency": consistency(held, log_q).mean(),
        "entropy_q": balance(held, 0.0),
        "entropy_mean_q": balance(held, 0.0) - balance(held, 1.0),
        "shared_information": shared[best],
    }


def fit_invariant(
    network: nn.Module,
    x: Tensor,
    perturbation: Perturbation,
    *,
    options: FitOptions,
    n_heads: int = 8,
    finer_heads: Sequence[int] | None = None,
    finer_share: float = 0.15,
    normalize: bool = True,
    generator: torch.Generator | None = None,
    loop: Callable[..., FitResult] = fit,
    **settings: Any,
) -> FitResult:
    """Train a posterior network in place, from rows alone.

    While it trains, the last layer answers for several heads; it is left with the one that
    shares most information between rows and their perturbations, a choice that sees no labels.

    Args:
        network: a network from (N, D) to (N, K) logits whose last layer is that of an `MLP`.
        x: (N, D).
        perturbation: see `InvariantPosterior`.
        options: of the fit loop.
        n_heads: heads with K clusters, of which the best is kept.
        finer_heads: numbers of clusters of further heads, which are dropped in the end; None for
            four heads of 4 K.
        finer_share: share of the steps in which these learn alone, so that the others find layers
            that see more than pixels, and start from less alike.
        normalize: train with batch normalisation of the MLP's hidden layers, which is folded into
            their weights in the end.
        generator: source of the order of rows, the perturbations and the heads' initial weights.
        loop: what is run in place of `anabranch.training.fit`, such as one with a checkpoint.
        settings: of `InvariantPosterior`: weight, spread, half_precision.

    Returns:
        What the fit loop returns.

    Raises:
        ValueError: for a network without an MLP, fewer than one head, or a share out of [0, 1).

    Example:
        >>> from anabranch.networks import MLP
        >>> from anabranch.objectives.perturbations import GaussianNoise
        >>> rng = torch.Generator().manual_seed(0)
        >>> network = MLP(2, 3, (8,), generator=rng)
        >>> x = torch.randn(64, 2, generator=rng)
        >>> noise, options = GaussianNoise(0.1), FitOptions(max_epochs=2, batch_size=32)
        >>> fit_invariant(network, x, noise, options=options, generator=rng).steps
        4
        >>> network(x).shape
        torch.Size([64, 3])
    """
    mlp = _last_mlp(network)
    single, hidden = mlp.last, list(mlp.hidden)
    n_components = single.out_features
    if n_heads < 1:
        raise ValueError(f"n_heads must be at least 1, got {n_heads}")
    if not 0 <= finer_share < 1:
        raise ValueError(f"finer_share must be in [0, 1), got {finer_share}")
    finer = [4 * n_components] * 4 if finer_heads is None else list(finer_heads)
    heads = [n_components] * n_heads + finer
    alone = _steps(options, len(x)) * finer_share if finer else 0.0
    mlp.last = Linear(single.in_features, sum(heads), generator=generator).to(single.weight)
    for place, layer in enumerate(hidden if normalize else ()):
        mlp.hidden[place] = NormalizedLinear(layer).to(single.weight)  # pyright: ignore
    try:
        model = InvariantPosterior(network, perturbation, heads=heads, **settings)
        late = ScheduledBuffer("ramp", model.ramp, lambda step: float(step >= alone))
        result = loop(
            model,
            {"x": x},
            options=options,
            schedules=[late],
            generator=generator,
            noise=generator,
        )
        best = model.best_head(x[:SCORED_ROWS], generator)
        rows = slice(best * n_components, (best + 1) * n_components)
        single.load_state_dict({k: v[rows] for k, v in mlp.last.state_dict().items()})
        for layer in mlp.hidden if normalize else ():
            layer.fold()  # pyright: ignore
    finally:
        mlp.last = single
        for place, layer in enumerate(hidden):
            mlp.hidden[place] = layer
    return result


def _steps(options: FitOptions, n_rows: int) -> int:
    return options.max_epochs * (n_rows // min(options.batch_size, n_rows))


@torch.no_grad()
def reorder_outputs(network: nn.Module, order: Sequence[int]) -> None:
    """Give the clusters of a posterior network other numbers: the new k is the old ``order[k]``.

    Raises:
        ValueError: for a network that does not end in an MLP.

    Example:
        >>> from anabranch.networks import MLP
        >>> network, x = MLP(2, 3), torch.ones(1, 2)
        >>> before = network(x)
        >>> reorder_outputs(network, [2, 0, 1])
        >>> torch.allclose(network(x), before[:, [2, 0, 1]])
        True
    """
    last = _last_mlp(network).last
    for parameter in (last.weight, last.bias):
        parameter.copy_(parameter[list(order)])


def _last_mlp(network: nn.Module) -> MLP:
    found = [module for module in network.modules() if isinstance(module, MLP)]
    if not found:
        raise ValueError(f"network must end in an MLP, got {type(network).__name__}")
    return found[-1]
