"""Files and folders by their names, by patterns, and by file: addresses."""

import glob
from os import PathLike, fspath
from pathlib import Path
from urllib.parse import unquote, urlsplit


def matching_paths(given: str | PathLike[str]) -> list[Path]:
    """The files and folders that a name means, in order; a name that there is means itself.

    Args:
        given: a name, a pattern such as "days/*.parquet" or "**/*.csv", or "file:///..." .

    Raises:
        FileNotFoundError: where there is none.
        ValueError: for an address of another machine.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.csv", "a.csv", "c.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in matching_paths(folder / "*.csv")]
        ['a.csv', 'b.csv']
        >>> matching_paths((folder / "c.txt").as_uri()) == [folder / "c.txt"]
        True
    """
    text = fspath(given)
    if text.lower().startswith("file:"):
        text = unquote(urlsplit(text).path)
    elif "://" in text:
        raise ValueError(f"{text} is not on this machine: mount it, or copy it first")
    if Path(text).exists():
        return [Path(text)]
    found = sorted(map(Path, glob.glob(text, recursive=True)))
    if not found:
        raise FileNotFoundError(f"there is no file or folder {text}")
    return found
