"""What is recorded of a fit, and how two records are compared."""

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

Record = dict[str, Any]


@contextmanager
def repeatable() -> Iterator[None]:
    """One thread and fixed seeds, so that bits repeat; warnings are no matter here.

    A FutureWarning still is: it says that `today` is out of date.
    """
    threads = torch.get_num_threads()
    with (
        torch.random.fork_rng(devices=[]),
        threadpool_limits(1),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)
        torch.set_num_threads(1)
        torch.manual_seed(0)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def kernels() -> dict[str, str]:
    """What decides how sums are rounded; the last entry is how they are."""
    return {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "rounding": _rounding(),
    }


def same_kernels(then: Record) -> bool:
    """Whether this machine rounds as the one that recorded."""
    return all(then[name] == value for name, value in kernels().items())


@cache
def _rounding() -> str:
    """A fingerprint of the bits that common kernels give: processors of one name differ in it."""
    random = np.random.RandomState(0)
    with repeatable():
        found: list[Tensor] = [torch.randn(40), torch.empty(40).exponential_()]
        for n, k, m in ((40, 3, 8), (64, 8, 16), (40, 130, 70)):
            a, b = (torch.as_tensor(random.randn(*shape)) for shape in ((n, k), (k, m)))
            x = a.float() @ b.float()
            found += [a @ b, x, (a.bfloat16() @ b.bfloat16()).float(), torch.linalg.svdvals(a)]
            found += [x.exp(), x.tanh(), x.sigmoid(), torch.logsumexp(x, 0), x.sum(1), a.sum(0)]
            found.append(torch.linalg.cholesky(a.mT @ a + torch.eye(k)))
            found.append(torch.as_tensor(a.numpy() @ b.numpy()))
        image, kernel = (torch.as_tensor(random.randn(*s)) for s in ((8, 3, 4, 4), (5, 3, 3, 3)))
        found.append(torch.conv2d(image.float(), kernel.float(), padding=1))
    return hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in found)).hexdigest()


def steady(record: Record) -> Record:
    """What other kernels leave as it is.

    Directions without a gradient go where rounding leads them, so that of parameters only sizes are
    left; and draws choose otherwise where a threshold is passed.
    """
    digests = record.keys() & {"parameters", "critic"}
    sizes = {name: [size for size, *_ in record[name]] for name in digests}
    return {**{name: value for name, value in record.items() if name != "draws"}, **sizes}


def digest(parameters: Sequence[Tensor]) -> list[list[float]]:
    """Size, sum and norm of each tensor, sorted: whatever their names and their order."""
    doubles = [p.detach().double() for p in parameters]
    return sorted([p.numel(), number(p.sum()), number(p.square().sum().sqrt())] for p in doubles)


def numbers(values: Any) -> list[float]:
    """All numbers of a tensor or an array, flat."""
    if isinstance(values, Tensor):
        values = values.detach().double().numpy()
    return [number(value) for value in np.asarray(values, dtype=np.float64).ravel()]


def number(value: Any) -> float:
    """With nine digits, for a short file."""
    return float(f"{float(value):.9g}")


def differences(expected: Any, found: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """One line for each number that has moved, with its place and both values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            yield f"{where}: was {sorted(expected)}, is {sorted(found)}"
            return
        for key in expected:
            yield from differences(expected[key], found[key], tolerance, f"{where}, {key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{where}: was {len(expected)} long, is {len(found)}"
            return
        for i, (a, b) in enumerate(zip(expected, found, strict=True)):
            yield from differences(a, b, tolerance, f"{where}[{i}]")
    elif isinstance(expected, float | int) and isinstance(found, float | int):
        if not close(expected, found, tolerance):
            yield f"{where}: was {expected!r}, is {found!r}, apart by {abs(expected - found):.2g}"
    elif expected != found:
        yield f"{where}: was {expected!r}, is {found!r}"


def close(expected: float, found: float, tolerance: float) -> bool:
    """Whether two numbers agree, absolutely below one and relatively above."""
    if not (math.isfinite(expected) and math.isfinite(found)):
        return repr(expected) == repr(found)
    return abs(expected - found) <= tolerance * max(1.0, abs(expected))
