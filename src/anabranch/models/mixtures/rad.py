"""RAD: a flow with folds, real and discrete at once."""

from collections.abc import Sequence

from anabranch.distributions import Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import ActNorm, Affine, Compose, Coupling, Half, Transform
from anabranch.transforms.fold import AbsoluteFold, Fold, TriFold

FOLDS: dict[str, type[Fold]] = {"absolute": AbsoluteFold, "tri": TriFold}


@recipe
def rad(
    features: int,
    *,
    n_folds: int = 3,
    fold: str = "absolute",
    n_between: int = 2,
    n_last: int = 4,
    hidden: Sequence[int] = (32,),
    gate_hidden: Sequence[int] = (16,),
    activation: str = "silu",
    bound: float = 1.0,
    context_features: int = 0,
    batch_shape: Sequence[int] = (),
    seed: int | None = None,
) -> Flow:
    r"""Folds with couplings between them: the branches of all folds are a discrete code of x.

    .. math:: \log p(x) = \log \mathcal N(z) + \sum_l \log p(k_l \mid z_l) + \sum \log|\det|

    ``flow.transform.initialize(x)`` lays the folds where the pieces of x lie best on each other;
    `anabranch.transforms.fold_codes` gives the codes.

    Source: Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), "A RAD approach to deep mixture
    models", arXiv:1903.07714.

    Args:
        features: D.
        n_folds: folds.
        fold: "absolute" for two branches each, "tri" for three.
        n_between: affine couplings between two folds.
        n_last: affine couplings behind the last fold.
        hidden: hidden sizes of each conditioner.
        gate_hidden: hidden sizes of each gate.
        activation: of the networks.
        bound: limit of the log-scale of one coupling.
        context_features: size of the context.
        batch_shape: the component axis.
        seed: of the initial weights and of the branches that samples take.

    Raises:
        ValueError: for another fold, or none.

    Example:
        >>> flow = rad(2, n_folds=2, hidden=[8], seed=0)
        >>> flow.sample(3).shape
        torch.Size([3, 2])
    """
    if fold not in FOLDS or n_folds < 1:
        raise ValueError(f"rad needs folds of {list(FOLDS)}, got {n_folds} of {fold!r}")
    shape, generator = tuple(batch_shape), make_generator(seed)
    common = {"context_features": context_features, "activation": activation}
    common |= {"batch_shape": shape, "generator": generator}
    layers: list[Transform] = []
    for i in range(n_folds):
        layers.append(FOLDS[fold](features, coordinate=i % features, hidden=gate_hidden, **common))
        layers.append(ActNorm(features, batch_shape=shape))
        layers += [
            Coupling(Affine(bound), features, split=Half(features, j), hidden=hidden, **common)
            for j in range(n_last if i == n_folds - 1 else n_between)
        ]
    return Flow(Normal(features, batch_shape=shape), Compose(layers))
