"""Where torch can compute."""

import torch


def usable_device(device: object) -> str:
    """The device of a name, made sure that fits can be computed there.

    Args:
        device: such as "cpu", "cuda" or "cuda:1"; or "auto" for "cuda" where there is one, else
            "cpu".

    Raises:
        ValueError: for what is no device, one that is not there, and one without double precision,
            which scores are added up in.

    Example:
        >>> usable_device("cpu"), usable_device(torch.device("cpu"))
        ('cpu', 'cpu')
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        usable = torch.empty(0, device=device).device.type != "meta"  # pyright: ignore
    except (AssertionError, NotImplementedError, RuntimeError, TypeError):
        usable = False
    if device is None or isinstance(device, bool | int) or not usable:
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device must be one that torch can compute on here, {', '.join(there)}, or 'auto', "
            f"got {device!r}"
        )
    name = str(device)
    if torch.device(name).type == "mps":
        raise ValueError("device 'mps' has no double precision, which fits need: take 'cpu'")
    return name
