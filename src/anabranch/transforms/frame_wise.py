"""The same transform of every frame of a video."""

from torch import Generator, Tensor

from anabranch.contracts.transform import Pair, Transform


class FrameWise(Transform):
    """The same transform of every frame; nothing passes from one to another.

    Args:
        transform: of rows of numbers, one a frame.
        length: frames, which lie one after another in a row.

    Raises:
        ValueError: for a transform of other events than rows, with a component axis or a context,
            or no frame.

    Example:
        >>> import torch
        >>> from anabranch.transforms import Reverse
        >>> FrameWise(Reverse(2), 2).encode(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))[0]
        tensor([[2., 1., 4., 3.]])
    """

    def __init__(self, transform: Transform, length: int) -> None:
        shapes = transform.event_shape, transform.latent_shape
        if len(shapes[0]) != 1 or len(shapes[1]) != 1 or length < 1:
            raise ValueError(f"FrameWise needs rows and frames, got {shapes} and {length}")
        if transform.batch_shape or transform.context_shape:
            raise ValueError("FrameWise takes no transform with a component axis or a context")
        super().__init__(*(length * shape[0] for shape in shapes))
        self.transform, self.length = transform, length
        self.domain, self.codomain = transform.domain, transform.codomain
        self.exact, self.stochastic = transform.exact, transform.stochastic
        self.bijective = transform.bijective

    def encode_frames(self, x: Tensor, *, generator: Generator | None = None) -> Pair:
        """Latents (N, T, size) and terms (N, T) of the frames of rows (N, T D)."""
        size = self.transform.event_shape[0]
        z, term = self.transform._encode(x.reshape(-1, size), None, generator)
        lead = len(x), x.shape[1] // size
        return z.reshape(*lead, z.shape[-1]), term.reshape(lead)

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        z, term = self.encode_frames(x, generator=generator)
        return z.flatten(1), term.sum(1)

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        frames = z.reshape(-1, self.transform.latent_shape[0])
        x, term = self.transform._decode(frames, None, generator)
        lead = len(z), self.length
        return x.reshape(len(z), self.event_shape[0]), term.reshape(lead).sum(1)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        frames = x.reshape(-1, self.transform.event_shape[0])
        self.transform._initialize(frames, None, generator)
