"""Known labels: choosing classes, and numbering them as components."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def class_codes(classes: str, names: Sequence[str] | None) -> Labels:
    """Codes of the classes of ``--classes``.

    Args:
        classes: labels with commas between.
        names: the text of labels 0, 1, ..., None where the labels are integers.

    Raises:
        ValueError: for a label that cannot be one of the data.

    Example:
        >>> class_codes("4,1", None)
        array([4, 1])
        >>> class_codes("dog", ["cat", "dog"])
        array([1])
    """
    return np.array([_code(text.strip(), names) for text in classes.split(",")])


def _code(text: str, names: Sequence[str] | None) -> int:
    if names is not None:
        if text not in names:
            shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
            raise ValueError(f"--classes names {text!r}, but the labels are {shown}")
        return names.index(text)
    if not text.isdecimal():
        raise ValueError(f"--classes names {text!r}, but the labels are integers")
    return int(text)


def rows_of_classes(
    labels: Labels | None, classes: str, names: Sequence[str] | None
) -> NDArray[np.bool_]:
    """Which rows have one of the labels of ``--classes``.

    Raises:
        ValueError: where there are no labels.
    """
    if labels is None:
        raise ValueError(
            "--classes needs labels: name their column by --label-column, or give the IDX file "
            "of the labels beside the images"
        )
    return np.isin(labels, class_codes(classes, names))


def number_classes(labels: Labels, n_components: int | None) -> tuple[Labels, dict[int, int]]:
    """Labels as components 0..K-1: as they are where they can be, else in sorted order.

    Args:
        labels: (n,), -1 where unknown.
        n_components: K; None for as many as there are labels.

    Returns:
        The labels, and the component of each class where they were renumbered, else nothing.

    Raises:
        ValueError: where there are more classes than components.

    Example:
        >>> number_classes(np.array([7, -1, 3]), 2)
        (array([ 1, -1,  0]), {3: 0, 7: 1})
    """
    classes = np.unique(labels[labels >= 0])
    limit = len(classes) if n_components is None else n_components
    if len(classes) > limit:
        raise ValueError(
            f"the labels hold {len(classes)} classes, more than the {limit} components; give "
            "--components, choose --classes, or fit with --no-use-labels"
        )
    if not len(classes) or classes[-1] < limit:
        return labels, {}
    numbered = np.where(labels >= 0, np.searchsorted(classes, labels), -1)
    return numbered, {int(label): k for k, label in enumerate(classes)}
