"""An integer model in few bytes."""

import json
import lzma
from typing import Any

from anabranch.coding.integer_model import IntegerModel


def model_bytes(model: IntegerModel) -> bytes:
    """A model as a file would carry it: its numbers one after the other, by xz.

    Example:
        >>> import torch
        >>> from anabranch.coding import freeze
        >>> from anabranch.distributions import LocalContext
        >>> model = freeze(LocalContext((4, 4), levels=2, hidden=[8]), torch.zeros(1, 4, 4))
        >>> len(model_bytes(model)) < 2000
        True
    """
    state = model.state()
    layers = state.pop("layers")
    tensors = [state.pop("codes"), state.pop("table"), *state.pop("components", {}).values()]
    for layer in layers:
        tensors += [layer.pop("weight"), layer.pop("bias"), layer.pop("shift")]
    sizes: list[Any] = [list(tensor.shape) for tensor in tensors]
    head = json.dumps([state, layers, sizes]).encode()
    numbers = b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)
    return lzma.compress(head + b"\n" + numbers, preset=9 | lzma.PRESET_EXTREME)
