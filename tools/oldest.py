"""Print the oldest versions that pyproject.toml promises, as `pip install` takes them.

Every lower bound becomes a pin: "numpy>=2.0" is numpy==2.0. `make test-oldest` installs them into
a second environment and tests there, so that no version is promised that was never tried.
"""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def promised(project: dict, extras: tuple[str, ...], groups: tuple[str, ...]) -> list[str]:
    """The requirements of the package, of extras and of dependency groups.

    Raises:
        ValueError: for a requirement that is no plain lower bound.

    Example:
        >>> project = {"project": {"dependencies": ["numpy>=2.0"]}}
        >>> promised(project, (), ())
        ['numpy==2.0']
    """
    table = project["project"]
    lines = list(table["dependencies"])
    for name in extras:
        lines += table["optional-dependencies"][name]
    for name in groups:
        lines += project["dependency-groups"][name]
    return [_pin(line) for line in lines]


def _pin(requirement: str) -> str:
    name, bound, version = requirement.partition(">=")
    if not bound or "," in version or ";" in version:
        raise ValueError(f"{requirement!r} must be a plain lower bound, as in 'numpy>=2.0'")
    return f"{name}=={version}"


if __name__ == "__main__":
    pins = promised(tomllib.loads(PROJECT.read_text("utf-8")), ("io", "report", "track"), ("test",))
    print(*pins)
