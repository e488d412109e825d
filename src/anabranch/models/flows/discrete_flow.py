"""Discrete flows: maps modulo K over categorical bases."""

from collections.abc import Sequence

from anabranch.distributions import Flow, OneHotCategorical
from anabranch.models.generators import make_generator
from anabranch.models.registry import recipe
from anabranch.transforms import Compose, ModuloAffine, OneHot, Transform


@recipe
def discrete_flow(
    n_columns: int,
    *,
    levels: int,
    structure: str = "bipartite",
    base: str = "factorised",
    n_layers: int = 1,
    hidden: Sequence[int] = (),
    scale: bool = True,
    temperature: float = 0.1,
    seed: int | None = None,
) -> Flow:
    r"""Whole numbers moved and multiplied modulo K, until a simple base describes them.

    .. math:: z_d = \sigma_d^{-1} (x_d - \mu_d) \bmod K

    Source: Tran, Vafa, Agrawal, Dinh, Poole (2019), "Discrete flows: invertible generative models
    of discrete data", arXiv:1905.10347.

    Args:
        n_columns: D.
        levels: K; data are 0..K-1.
        structure: "bipartite", where halves move in turn, or "autoregressive".
        base: "factorised", or "autoregressive" in the reversed order.
        n_layers: maps.
        hidden: hidden sizes of all networks; none for tables of logits of pairs of columns.
        scale: whether numbers are multiplied, too.
        temperature: of the softmax whose gradient stands for that of an argmax.
        seed: of the initial logits. Optima are local: compare several.

    Raises:
        ValueError: for another structure or base.

    Example:
        >>> flow = discrete_flow(2, levels=5, seed=0)
        >>> flow.sample(4).shape, flow.discrete
        (torch.Size([4, 2]), True)
    """
    for name, value, known in (
        ("structure", structure, ("bipartite", "autoregressive")),
        ("base", base, ("factorised", "autoregressive")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {known}, got {value!r}")
    source = make_generator(seed)
    layers: list[Transform] = [OneHot(n_columns, levels)]
    for i in range(n_layers):
        order = list(range(n_columns))
        if structure == "bipartite":
            order = [int((d >= n_columns // 2) != bool(i % 2)) for d in order]
        sizes = {"hidden": hidden, "scale": scale, "temperature": temperature}
        layers.append(ModuloAffine(order, levels, **sizes, generator=source))
    order = [0] * n_columns if base == "factorised" else list(range(n_columns))[::-1]
    return Flow(OneHotCategorical(order, levels, hidden=hidden, generator=source), Compose(layers))
