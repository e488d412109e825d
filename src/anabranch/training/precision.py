"""Half precision where the processor computes in it."""

import torch


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
