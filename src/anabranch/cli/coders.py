"""What commands that compress share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from anabranch.cli.job import terminal
from anabranch.cli.loading import called
from anabranch.coding import IntegerModel
from anabranch.estimators import Coder
from anabranch.estimators.files import load_estimator


def load_coder(path: Path) -> IntegerModel:
    """The integer model of a model file.

    Raises:
        OSError: where there is no such file.
        ValueError: where it is damaged, foreign, of a newer format, or holds no coder.
    """
    model = load_estimator(path)
    if not isinstance(model, Coder):
        raise ValueError(
            f"{path} holds {called(model)}, which codes nothing; anabranch fit --model coder makes "
            "what does"
        )
    return model.integer_


@contextmanager
def progress(items: int) -> Iterator[Callable[[int], object]]:
    """A bar that counts items, where somebody watches."""
    with tqdm(total=items, unit=" items", disable=not terminal()) as bar:
        yield bar.update
