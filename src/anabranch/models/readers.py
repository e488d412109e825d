"""Networks other than a MADE that tell autoregressive flows how features move."""

from collections.abc import Callable
from functools import partial

from anabranch.models.specs import Spec, split_spec
from anabranch.networks import FeatureConvolution, FeatureLSTM
from anabranch.networks.feature_lstm import FeatureReader

READERS: dict[str, type[FeatureReader] | None] = {
    "made": None,
    "lstm": FeatureLSTM,
    "pixelcnn": FeatureConvolution,
}


def reader_of(spec: Spec) -> Callable[..., FeatureReader] | None:
    """What makes the network of a layer; None for a MADE.

    Raises:
        ValueError: for another name.
        TypeError: for keywords of "made", whose settings are the recipe's own.

    Example:
        >>> reader_of("made") is None, reader_of({"name": "lstm", "width": 8})(3, 2).width
        (True, 8)
    """
    name, settings = split_spec("network", spec)
    if name not in READERS:
        raise ValueError(f"network must be one of {sorted(READERS)}, got {name!r}")
    kind = READERS[name]
    if kind is None:
        if settings:
            raise TypeError(f"network 'made' has no keywords, got {sorted(settings)}")
        return None
    return partial(kind, **settings)
