"""What a recipe would build, compared with tensors before anything of their size is built."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from anabranch.models.registry import build

# Numbers of a recipe are sizes and counts: those of a large model are sizes of its tensors, too.
USUAL = 4096
# Calls of torch for a tensor of the model, of which some 30 are usual, and for a row or column of
# it: networks with an order of their inputs look at each unit. Elements of a tensor, for each of
# those that there are.
CALLS, UNIT_CALLS, ELEMENTS = 200, 8, 4
FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full, torch.eye)


def check_blueprint(name: str, arguments: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not those of the model that a recipe builds.

    The model is drawn up with floats on the meta device, which takes no memory, and in no more
    steps than its tensors can account for.

    Args:
        name: of the recipe.
        arguments: of the recipe.
        state: the tensors of the model by name.

    Raises:
        ValueError: where names, shapes or kinds of numbers differ, where a parameter is not
            finite, or where the recipe asks for more than there is.
        TypeError: for arguments that the recipe does not take.

    Example:
        >>> from anabranch.models import nice
        >>> check_blueprint("nice", {"features": 10**9}, nice(2, seed=0).state_dict())
        Traceback (most recent call last):
        ValueError: a recipe of 1000000000 does not go with tensors of at most 32 in a direction
    """
    size = max((n for tensor in state.values() for n in tensor.shape), default=0)
    for number in _numbers(arguments):
        if not abs(number) <= max(size, USUAL):
            raise ValueError(
                f"a recipe of {number} does not go with tensors of at most {size} in a direction"
            )
    with _Meta(state):
        model = build(name, **arguments)
    expected = model.state_dict()
    if unlike := sorted(expected.keys() ^ state.keys()):
        raise ValueError(f"recipe {name!r} and the tensors differ in {', '.join(unlike[:3])}")
    texts = {
        f"{path}.{buffer}".lstrip(".")
        for path, part in model.named_modules()
        for buffer in getattr(part, "texts_in", ())
    }
    for key, tensor in expected.items():
        found = state[key]
        end = -1 if key in texts else None  # texts are of any length
        unlike = found.ndim != tensor.ndim or found.shape[:end] != tensor.shape[:end]
        if unlike or found.is_floating_point() != tensor.is_floating_point():
            raise ValueError(
                f"{key} is {found.dtype} of shape {tuple(found.shape)}, recipe {name!r} makes it "
                f"{tensor.dtype} of shape {tuple(tensor.shape)}"
            )
    for key, _ in model.named_parameters():
        if not state[key].isfinite().all():
            raise ValueError(f"{key} has values that are not finite")


class _Meta(TorchFunctionMode):
    """Floats are made on the meta device, the source of random ones left out; others as ever.

    Integers and masks stay what they are, for the numbers of a layer depend on them.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        longest = sum(max(tensor.shape, default=0) for tensor in state.values())
        self.calls = CALLS * (len(state) + 10) + UNIT_CALLS * longest
        n_elements = sum(tensor.numel() for tensor in state.values())
        self.largest = max(ELEMENTS * n_elements, USUAL * 1024)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = {key: value for key, value in (kwargs or {}).items() if key != "generator"}
        self.calls -= 1
        if self.calls < 0:
            raise ValueError("the recipe takes more steps than the tensors account for")
        if func in FACTORIES:
            # the others import seconds of compiler for the meta device
            sizes = (
                (args * 2)[:2] if func is torch.eye else args[:1] if func is torch.full else args
            )
            made = torch.empty(*sizes, dtype=given.get("dtype"), device="meta")
            self._check(made.shape)
            filled = func is torch.full and isinstance(args[1], int) and "dtype" not in given
            if made.is_floating_point() and not filled:
                return made
        else:
            self._check(_broadcast([arg.shape for arg in args if isinstance(arg, Tensor)]))
        return func(*args, **given)

    def _check(self, shape: tuple[int, ...]) -> None:
        if math.prod(shape) > self.largest:
            raise ValueError(f"the recipe makes a tensor of {tuple(shape)}, more than there are")


def _broadcast(shapes: list[torch.Size]) -> tuple[int, ...]:
    """The shape of what is made element by element; nothing is known of the rest."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return ()


def _numbers(value: object) -> Iterator[float]:
    """All numbers of a tree, and the lengths of its lists; seeds say nothing of a size."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from () if key == "seed" else _numbers(item)
    elif isinstance(value, list):
        yield len(value)
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value
