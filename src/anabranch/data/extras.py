"""The packages of the extra `io`, imported only where they are needed."""

from types import ModuleType
from typing import Any


def pyarrow_module(name: str) -> ModuleType:
    """Import a module of pyarrow, or say how to install it.

    Raises:
        ImportError: If pyarrow is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        message = 'CSV and Parquet files need pyarrow: pip install "anabranch[io]"'
        raise ImportError(message) from error


def pandas_module() -> Any:
    """Import pandas, or say how to install it.

    Raises:
        ImportError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ImportError('frames need pandas: pip install "anabranch[io]"') from error
    return pd
