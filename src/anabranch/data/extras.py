"""The packages of the extra `io`, imported only where they are needed."""

from types import ModuleType


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
