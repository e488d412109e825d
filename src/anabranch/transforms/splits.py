"""Splits: which numbers of an event move in a coupling, and which stay and tell them how."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anabranch.functional.shapes import Shape
from anabranch.transforms.reshaping import image_shape


class Split(nn.Module):
    """A partition of an event in two parts, of which the second one moves.

    Vectors come as columns (..., D, N), which networks of matrices want; images come as they are,
    (..., N, C, H, W).

    Attributes:
        shape: of the event.
        kept_shape: of the part that stays, as the conditioner sees it.
        told_shape: of the conditioner's answer, for each parameter of the scalar map.
        columnar: whether the event is a vector, in columns.
    """

    columnar: bool = True

    def __init__(self, shape: Shape, kept_shape: Shape, told_shape: Shape) -> None:
        super().__init__()
        self.shape, self.kept_shape, self.told_shape = shape, kept_shape, told_shape

    @abstractmethod
    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The part that stays and the part that moves."""

    @abstractmethod
    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Undo ``split``."""

    def told(self, answers: Tensor) -> Tensor:
        """The conditioner's answers (..., *told_shape) for the part that moves."""
        return answers

    @abstractmethod
    def flipped(self) -> "Split":
        """The split whose other part moves."""

    def extra_repr(self) -> str:
        """What repr shows of it."""
        return f"{self.shape}"


class Mask(Split):
    """Features move where a mask says so.

    A mask that is one contiguous run at either end costs no gather.

    Args:
        moves: for each feature, whether it moves.

    Raises:
        ValueError: where none moves.

    Example:
        >>> Mask([False, True, False]).split(torch.tensor([[1.0], [2.0], [3.0]]))[1]
        tensor([[2.]])
    """

    shared_buffers = ("order", "inverse_order")
    order: Tensor | None
    inverse_order: Tensor | None

    def __init__(self, moves: Sequence[bool]) -> None:
        if not all(move in (0, 1) for move in moves):
            raise ValueError(f"moves must be True or False for each feature, got {moves!r}")
        self.moves = [bool(move) for move in moves]
        n_moved = sum(self.moves)
        if not n_moved:
            raise ValueError(f"a split must move at least one feature, got {self.moves}")
        super().__init__((len(self.moves),), (len(self.moves) - n_moved,), (n_moved,))
        (self.n_kept,), (self.n_moved,) = self.kept_shape, self.told_shape
        mask = torch.tensor(self.moves)
        self.moved_first = bool(mask[:n_moved].all()) and self.n_kept > 0
        order = torch.argsort(mask.to(torch.int8), stable=True)  # kept features, then moved ones
        contiguous = self.moved_first or bool(mask[self.n_kept :].all())
        self.register_buffer("order", None if contiguous else order, False)
        self.register_buffer("inverse_order", None if contiguous else order.argsort(), False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of columns that stay, and those that move."""
        if self.order is not None:
            x = x.index_select(-2, self.order)
        if self.moved_first:
            return x[..., self.n_moved :, :], x[..., : self.n_moved, :]
        return x[..., : self.n_kept, :], x[..., self.n_kept :, :]

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Put the rows back in their places."""
        x = torch.cat((moved, kept) if self.moved_first else (kept, moved), dim=-2)
        return x if self.inverse_order is None else x.index_select(-2, self.inverse_order)

    def flipped(self) -> "Mask":
        """The mask whose other features move."""
        return Mask([not move for move in self.moves])


class Half(Mask):
    """The second half of the features moves in even turns, the first half in odd ones.

    A single feature always moves.

    Args:
        features: D.
        turn: number of the coupling in a stack.

    Example:
        >>> Half(3).moves, Half(3, 1).moves, Half(1, 1).moves
        ([False, True, True], [True, False, False], [True])
    """

    def __init__(self, features: int, turn: int = 0) -> None:
        even = turn % 2 == 0 or features == 1
        super().__init__([(d >= features // 2) == even for d in range(features)])


class EveryOther(Mask):
    """Features of even numbers move in even turns, the others in odd ones.

    A single feature always moves.

    Args:
        features: D.
        turn: number of the coupling in a stack.

    Source: Dinh, Krueger, Bengio (2014), "NICE", arXiv:1410.8516.

    Example:
        >>> EveryOther(3).moves, EveryOther(3, 1).moves
        ([True, False, True], [False, True, False])
    """

    def __init__(self, features: int, turn: int = 0) -> None:
        super().__init__([d % 2 == turn % 2 or features == 1 for d in range(features)])


class Channels(Split):
    """The second half of an image's channels moves in even turns, the first half in odd ones.

    Args:
        shape: (C, H, W).
        turn: number of the coupling in a stack.

    Raises:
        ValueError: for a shape that is no image's, or of one channel.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803, section 3.4.

    Example:
        >>> Channels((3, 4, 4)).kept_shape, Channels((3, 4, 4)).told_shape
        ((1, 4, 4), (2, 4, 4))
    """

    columnar = False

    def __init__(self, shape: Shape, turn: int = 0) -> None:
        depth, *places = image_shape(shape)
        if depth < 2:
            raise ValueError(f"Channels needs at least two channels to split, got {shape}")
        self.turn, self.first = turn % 2, depth // 2
        parts = [(size, *places) for size in (self.first, depth - self.first)]
        super().__init__(tuple(shape), parts[self.turn], parts[1 - self.turn])

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Channels that stay, and those that move."""
        parts = x[..., : self.first, :, :], x[..., self.first :, :, :]
        return parts[self.turn], parts[1 - self.turn]

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Put the channels back in their places."""
        return torch.cat((moved, kept) if self.turn else (kept, moved), dim=-3)

    def flipped(self) -> "Channels":
        """The split whose other channels move."""
        return Channels(self.shape, 1 - self.turn)


class Checkerboard(Split):
    """The fields of one colour move, in all channels alike: row + column has the turn's parity.

    The part that stays is the whole image with zeros at the fields that move, so that a
    convolution sees it in its places. The part that moves is packed, (C, H, W/2), by views and one
    selection, so that scalar maps see no field in vain.

    Args:
        shape: (C, H, W).
        turn: number of the coupling in a stack.

    Raises:
        ValueError: for a shape that is no image's, or an image of one field.

    Source: Dinh, Sohl-Dickstein, Bengio (2016), arXiv:1605.08803, section 3.4.

    Example:
        >>> Checkerboard((1, 2, 2)).split(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        (tensor([[[0., 2.],
                 [3., 0.]]]), tensor([[[1.],
                 [4.]]]))
    """

    columnar = False
    shared_buffers = ("board", "even")
    board: Tensor
    even: Tensor

    def __init__(self, shape: Shape, turn: int = 0) -> None:
        _, height, width = image_shape(shape)
        if height * width == 1:
            raise ValueError(f"Checkerboard needs more than one field to split, got {shape}")
        super().__init__(tuple(shape), tuple(shape), tuple(shape))
        self.turn = turn % 2
        rows, columns = torch.arange(height).unsqueeze(-1), torch.arange(width)
        self.register_buffer("board", (rows + columns) % 2 == self.turn, False)
        self.register_buffer("even", rows % 2 == self.turn, False)  # rows whose even fields move

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The image with zeros at the fields that move, and these."""
        return torch.where(self.board, 0.0, x), self.told(x)

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Fill in the fields that moved."""
        if kept.shape[-1] % 2:
            moved = moved.flatten(-2)
            if 2 * moved.shape[-1] < self.board.numel():
                moved = nn.functional.pad(moved, (0, 1))  # the last field stays
            x = torch.stack((moved, moved), -1).flatten(-2)[..., : self.board.numel()]
            return torch.where(self.board, x.unflatten(-1, kept.shape[-2:]), kept)
        left, right = kept.unflatten(-1, (-1, 2)).unbind(-1)
        pair = torch.where(self.even, moved, left), torch.where(self.even, right, moved)
        return torch.stack(pair, -1).flatten(-2)

    def told(self, answers: Tensor) -> Tensor:
        """The fields that move, packed."""
        if answers.shape[-1] % 2:  # the colour alternates along all rows one after another
            return answers.flatten(-2)[..., self.turn :: 2].unsqueeze(-2)
        left, right = answers.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.where(self.even, left, right)

    def flipped(self) -> "Checkerboard":
        """The board whose other colour moves."""
        return Checkerboard(self.shape, 1 - self.turn)
