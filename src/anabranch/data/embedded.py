"""The data sets that scikit-learn carries with it."""

import numpy as np

from anabranch.data.table import Table

EMBEDDED = ("iris", "wine", "breast_cancer", "diabetes", "digits")


def load_sklearn(name: str) -> Table:
    """Load one of scikit-learn's embedded data sets.

    The labels are the classes; diabetes, whose target is a number and no class, has none, and
    that target is not among the columns. Digits are images of shape (8, 8), values 0 to 16.

    Args:
        name: One of iris, wine, breast_cancer, diabetes, digits.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> table = load_sklearn("iris")
        >>> table.X.shape, table.label_names
        ((150, 4), ['setosa', 'versicolor', 'virginica'])
    """
    from sklearn import datasets

    if name not in EMBEDDED:
        raise ValueError(f"name is {name!r}, expected one of {', '.join(EMBEDDED)}")
    bunch = getattr(datasets, f"load_{name}")()
    X = np.asarray(bunch.data, dtype=np.float64)
    columns = [str(column) for column in bunch.feature_names]
    if name == "diabetes":
        return Table(X, columns)
    labels = np.asarray(bunch.target, dtype=np.int64)
    if name == "digits":
        return Table(X, columns, labels, image_shape=(8, 8))
    return Table(X, columns, labels, label_names=[str(label) for label in bunch.target_names])
