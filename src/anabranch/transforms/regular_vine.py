"""Regular vines whose structure and families rows choose."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from anabranch.contracts.context import vector_size
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch, standard_normal_log_prob
from anabranch.functional.numbers import check_choice, check_whole
from anabranch.functional.shapes import Shape

Array = NDArray[np.float64]
FAMILIES = (
    "indep", "gaussian", "student", "clayton", "gumbel", "frank", "joe", "bb1", "bb6", "bb7",
    "bb8", "tawn", "tll",
)  # fmt: skip
KINDS = {
    "all": FAMILIES,
    "parametric": FAMILIES[:-1],
    "simple": FAMILIES[:7],
    "kernel": ("indep", "tll"),
    "gaussian": ("indep", "gaussian"),
}
CRITERIA = ("loglik", "aic", "bic", "mbicv")
# Rows, by their weights, below which no dependence can be told; and weights that count nothing.
FEWEST, LEAST_WEIGHT = 10, 1e-6
INNERMOST, OUTERMOST = 1e-10, 1 - 1e-10  # what the package takes
# of derivatives by differences in four places, exact to the fourth order
STEP, PLACES, FACTORS = 1e-3, (-2, -1, 1, 2), (1 / 12, -2 / 3, 2 / 3, -1 / 12)


class RVine(Transform):
    r"""A vine whose trees, families and parameters are chosen by rows: Dissmann's algorithm.

    .. math:: \log p(x) = \sum_j \log\varphi(x_j)
        + \sum_{k} \sum_{e \in T_k} \log c_e, \qquad z = \Phi^{-1}(\text{Rosenblatt of } \Phi(x))

    Each tree is the spanning tree of the greatest Kendall's taus, and each of its pairs takes the
    family that a criterion likes best, kernels among them. As for `CVine`, columns are normal
    scores. ``fit_rows`` chooses, with `pyvinecopulib`; before it all variables are independent.
    Nothing here is learned by gradients. Those by x are differences, exact to some ten digits, and
    have no second derivatives. There is no context: dependence that hangs on one is learned by
    `CVine` and `DVine`.

    Source: Dissmann, Brechmann, Czado, Kurowicka (2013), "Selecting and estimating regular vine
    copulae", arXiv:1202.2002; kernels on normal scores: Geenens, Charpentier, Paindaveine (2017),
    "Probit transformation for nonparametric kernel estimation of the copula density",
    arXiv:1404.4414; Nagler, Vatter, `pyvinecopulib`.

    Args:
        features: D, two or more.
        families: "all", "parametric", "simple" (of one or two parameters), "kernel" (no families
            at all), "gaussian", or a list of `pyvinecopulib`'s names.
        trees: how many trees at most; beyond them variables are independent, given the others. None
            for all D - 1.
        criterion: by which families are chosen: "aic", "bic", "mbicv" or "loglik".
        max_rows: choose on at most as many rows, evenly spaced ones; None for all.
        batch_shape: the component axis.

    Raises:
        ValueError: for fewer than two features, an unknown family or criterion, or a number of
            trees that cannot be.

    Example:
        >>> vine = RVine(3, families="simple", trees=1)
        >>> x = torch.ones(1, 3)
        >>> bool((vine.encode(x)[0] == x).all())
        True
    """

    vines: Tensor
    anchor: Tensor
    shared_buffers = ("anchor",)
    texts_in = ("vines",)  # buffers of any length

    def __init__(
        self,
        features: int,
        *,
        families: str | Sequence[str] = "parametric",
        trees: int | None = None,
        criterion: str = "aic",
        max_rows: int | None = None,
        batch_shape: Shape = (),
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        most = features - 1 if trees is None else trees
        if not 1 <= most < features:
            raise ValueError(
                f"a vine has at least two features, and trees between 1 and one less than these: "
                f"got features={features}, trees={trees}"
            )
        self.families = _families(families)
        self.trees, self.criterion, self.max_rows = most, criterion, max_rows
        check_choice(self, "criterion", CRITERIA)
        check_whole(self, ("max_rows",), 2, optional=True)
        # each vine is a text, in bytes; zeros behind the end of the shorter ones
        self.register_buffer("vines", torch.zeros(*batch_shape, 0, dtype=torch.uint8))
        self.register_buffer("anchor", torch.zeros(()), False)  # knows the dtype and the device

    @torch.no_grad()
    def fit_rows(self, x: Tensor, weights: Tensor | None = None) -> None:
        r"""Choose the trees, the families and their parameters.

        Args:
            x: normal scores, (N, D) or (\*batch_shape, N, D).
            weights: (N,) or (\*batch_shape, N), what rows count; None for one each.

        Raises:
            ImportError: where `pyvinecopulib` is missing, saying which extra has it.
        """
        rows = expand_batch(x, self.batch_shape, 1)
        features = vector_size(self.event_shape)
        u = _uniform(rows).reshape(-1, rows.shape[-2], features)
        counts = [None] * len(u)
        if weights is not None:
            given = weights.expand(rows.shape[:-1]).reshape(len(u), -1)
            counts = list(given.double().cpu().numpy())
        self.set_vines([self._chosen(r, w) for r, w in zip(u, counts, strict=True)])

    def _chosen(self, u: Array, weights: Array | None) -> str:
        pv = vine_module()
        if weights is not None:
            counted = weights > LEAST_WEIGHT * weights.max()
            u, weights = u[counted], weights[counted]
        effective = len(u) if weights is None else weights.sum() ** 2 / (weights**2).sum()
        if effective < FEWEST:
            return pv.Vinecop.from_dimension(u.shape[1]).to_json()
        if self.max_rows is not None and len(u) > self.max_rows:
            kept = np.linspace(0, len(u) - 1, self.max_rows).astype(int)
            u, weights = u[kept], None if weights is None else weights[kept]
        controls = pv.FitControlsVinecop(
            family_set=[getattr(pv.BicopFamily, name) for name in self.families],
            trunc_lvl=self.trees,
            selection_criterion=self.criterion,
            # mean one: the criteria count rows
            weights=np.empty(0) if weights is None else weights / weights.mean(),
            num_threads=1,
        )
        return pv.Vinecop.from_data(np.asfortranarray(u), controls=controls).to_json()

    def set_vines(self, texts: Sequence[str]) -> None:
        """Take vines as `pyvinecopulib.Vinecop.to_json` writes them, one for each component.

        Raises:
            ValueError: for another number of texts, or a vine of another number of variables.
        """
        n, features = int(np.prod(self.batch_shape)), self.event_shape[0]
        if len(texts) != n:
            raise ValueError(f"texts must be {n} vines, got {len(texts)}")
        for text in texts:
            if (dim := _vine(text.encode()).dim) != features:
                raise ValueError(f"the vine must be of {features} variables, got {dim}")
        size = max(len(text.encode()) for text in texts)
        padded = b"".join(text.encode().ljust(size, b"\0") for text in texts)
        found = torch.frombuffer(bytearray(padded), dtype=torch.uint8)
        self.vines = found.reshape(*self.batch_shape, size).to(self.anchor.device)

    def texts(self) -> list[str]:
        """The vines as texts, one for each component; empty where there is none yet."""
        return [part.decode() for part in self._bytes()]

    def log_copula_density(self, x: Tensor) -> Tensor:
        """The logarithm of the copula's density at normal scores x, in nats; shapes as the term."""
        z, term = self.encode(x)
        return term + (x.square() - z.square()).sum(-1) / 2

    def _bytes(self) -> tuple[bytes, ...]:
        n = int(np.prod(self.batch_shape))
        parts = self.vines.reshape(n, -1).cpu().numpy()
        return tuple(part.tobytes().rstrip(b"\0") for part in parts)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        z, log_c = self._moved(x, False)
        return z, log_c + standard_normal_log_prob(x) - standard_normal_log_prob(z)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x, log_c = self._moved(z, True)
        return x, standard_normal_log_prob(z) - standard_normal_log_prob(x) - log_c

    def _moved(self, x: Tensor, inverse: bool) -> Pair:
        if self.vines.shape[-1] == 0 or x.numel() == 0:
            return x, torch.zeros_like(x[..., 0])
        whole = x.expand(*self.batch_shape, *x.shape[-2:])
        if x.is_meta:
            return torch.empty_like(whole), torch.empty_like(whole[..., 0])
        return _Rosenblatt.apply(whole, self._bytes(), inverse)  # pyright: ignore[reportReturnType]

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state_dict: Any, prefix: str, *args: object
    ) -> None:
        stored = state_dict.get(f"{prefix}vines")
        if stored is not None and stored.shape[:-1] == self.vines.shape[:-1]:
            # texts are of any length
            self.vines = torch.empty_like(stored, device=self.vines.device)
        super()._load_from_state_dict(state_dict, prefix, *args)  # pyright: ignore[reportArgumentType]

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{super().extra_repr()}, trees={self.trees}"


class _Rosenblatt(torch.autograd.Function):
    """Latents of points or points of latents, and the log-density of the copula at the points."""

    @staticmethod
    def forward(ctx, x, vines, inverse):  # noqa: ANN001, ANN205 - as torch calls it
        """In float64, of one component after the other."""
        ctx.vines, ctx.inverse = vines, inverse
        ctx.save_for_backward(x)
        z, log_c = _evaluate(x.detach().double().cpu().numpy(), vines, inverse)
        like = {"dtype": x.dtype, "device": x.device}
        return torch.as_tensor(z, **like), torch.as_tensor(log_c, **like)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_z, of_log_c):  # noqa: ANN001, ANN205  # pyright: ignore[reportIncompatibleMethodOverride]
        """By differences in each variable."""
        x = ctx.saved_tensors[0].double().cpu().numpy()
        g_z, g_c = (g.double().cpu().numpy() for g in (of_z, of_log_c))
        gradient = np.zeros_like(x)
        for d in range(x.shape[-1]):
            for place, factor in zip(PLACES, FACTORS, strict=True):
                moved = x.copy()
                moved[..., d] += place * STEP
                z, log_c = _evaluate(moved, ctx.vines, ctx.inverse)
                gradient[..., d] += factor / STEP * ((g_z * z).sum(-1) + g_c * log_c)
        return torch.as_tensor(gradient, dtype=of_z.dtype, device=of_z.device), None, None


def _evaluate(x: Array, vines: tuple[bytes, ...], inverse: bool) -> tuple[Array, Array]:
    """Rows (..., N, D) of as many vines as lead."""
    rows = x.reshape(len(vines), -1, x.shape[-1])
    found, density = np.empty_like(rows), np.empty(rows.shape[:-1])
    for k, text in enumerate(vines):
        vine, u = _vine(text), _uniform(torch.from_numpy(rows[k]))
        ended = np.asfortranarray(u)
        moved = vine.inverse_rosenblatt(ended) if inverse else vine.rosenblatt(ended)
        moved = moved.clip(INNERMOST, OUTERMOST)
        density[k] = np.log(vine.pdf(np.asfortranarray(moved) if inverse else ended).clip(1e-300))
        found[k] = torch.special.ndtri(torch.from_numpy(np.ascontiguousarray(moved))).numpy()
    return found.reshape(x.shape), density.reshape(x.shape[:-1])


def _uniform(x: Tensor) -> Array:
    return torch.special.ndtr(x.detach().double()).clamp(INNERMOST, OUTERMOST).cpu().numpy()


def vine_module() -> Any:
    """Import pyvinecopulib, or say how to install it.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        import pyvinecopulib as pv
    except ModuleNotFoundError as error:
        message = 'vines that rows choose need pyvinecopulib: pip install "anabranch[copula]"'
        raise ImportError(message) from error
    return pv


@lru_cache(maxsize=64)
def _vine(text: bytes) -> Any:
    return vine_module().Vinecop.from_json(text.decode())


def _families(given: str | Sequence[str]) -> tuple[str, ...]:
    names = KINDS.get(given, (given,)) if isinstance(given, str) else tuple(given)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        raise ValueError(
            f"families must be one of {sorted(KINDS)} or a list of {list(FAMILIES)}, got {given!r}"
        )
    return tuple(names)
