"""The border between a command and the shell: errors, warnings, interrupts, exit codes."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import typer

from anabranch.cli.text import plain, say

debug: ContextVar[bool] = ContextVar("debug", default=False)

INTERRUPTED = 130

# What a user's data, files or settings cause; anything else is a defect of the program.
_EXPECTED = (ValueError, TypeError, OSError, ImportError, MemoryError)
# What the readers say to callers in Python, as it is said on the command line.
_WORDS = {
    "header=False": "--no-header",
    "header=True": "--header",
    "delimiter='": "--delimiter '",
    "decimal='": "--decimal '",
}


def job(command: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command that fails with one sentence and the right exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with warnings_in_one_line():
                command(*args, **kwargs)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt as error:
            _say("interrupted", str(error) or "nothing was written")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if debug.get():
                raise
            _say("error", describe(error))
            raise typer.Exit(1) from None

    return run


def describe(error: Exception) -> str:
    """Say in one line what went wrong.

    Example:
        >>> describe(FileNotFoundError(2, "No such file or directory", "a.csv"))
        'a.csv: No such file or directory'
        >>> describe(KeyError("x"))
        "unexpected KeyError: 'x'; anabranch --debug shows where it comes from"
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    text = str(error) or type(error).__name__
    if isinstance(error, RuntimeError) and "allocate" in text:  # torch has no MemoryError
        return f"there is not enough memory: {text[max(text.find('you tried'), 0) :]}"
    if not isinstance(error, _EXPECTED):
        kind = type(error).__name__
        return f"unexpected {kind}: {text}; anabranch --debug shows where it comes from"
    for python, shell in _WORDS.items():
        text = text.replace(python, shell)
    return text


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print what concerns the user's data as one line each, and keep quiet about the rest."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        _say("warning", str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        # our own, of settings with another name now; those of other libraries are for programmers
        warnings.filterwarnings("default", r".* is now .*: the old name goes", FutureWarning)
        warnings.showwarning = show
        yield


def note(text: str) -> None:
    """Tell the user something that is no result."""
    _say("note", text)


def terminal() -> bool:
    """Whether somebody watches the progress."""
    return sys.stderr.isatty()


def _say(kind: str, text: str) -> None:
    say(f"{kind}: {' '.join(text.split())}", err=True)
