"""Which kernels multiply matrices, and in which precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

from anabranch.networks import Linear

MODES = ("auto", "default", "fast")
# Multiply-adds of an average layer from which oneDNN's kernels win, for they take longer to start.
LARGE_PRODUCT = 2**21


def computes_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether matrix products in bfloat16 are faster than in float32 on a device.

    Example:
        >>> isinstance(computes_bfloat16(), bool)
        True
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported()
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


@contextmanager
def matrix_products(mode: str, model: nn.Module, batch_size: int) -> Iterator[None]:
    """Choose the kernels of float32 matrix products, and restore torch's choice afterwards.

    On some processors (AMD's, for one) oneDNN multiplies twice as fast as what torch takes by
    default, and torch uses it for float32 only where it may round to bfloat16 inside a product;
    whether it does depends on the processor.

    Args:
        mode: "default" leaves torch as it is. "fast" allows lower precision inside products
            (bfloat16 on processors, TF32 on GPUs). "auto" takes oneDNN's kernels on the CPU where
            they turn out to keep float32, and the layers of the model are large enough to gain.
        model: whose `Linear` layers are looked at.
        batch_size: rows of a step.

    Example:
        >>> with matrix_products("fast", nn.Linear(2, 2), 32):
        ...     torch.get_float32_matmul_precision()
        'medium'
        >>> torch.get_float32_matmul_precision()
        'highest'
    """
    if mode == "default" or (mode == "auto" and not _pays(model, batch_size)):
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _pays(model: nn.Module, batch_size: int) -> bool:
    layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
    if not layers or layers[0].weight.device.type != "cpu":
        return False
    size = sum(layer.weight.numel() for layer in layers) / len(layers)
    return size * batch_size >= LARGE_PRODUCT and keeps_float32()


@cache
def keeps_float32() -> bool:
    """Whether products of this processor stay as exact as float32 where less is allowed.

    Example:
        >>> isinstance(keeps_float32(), bool)
        True
    """
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(128, 128, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        error = (a @ b - exact).abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    # Entries are sums of 128 products of size one: float32 is off by 1e-5, bfloat16 by 1e-1.
    return bool(error < 1e-3)
