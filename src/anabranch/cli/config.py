"""Options of a command from a file of TOML, and to one."""

import json
import tomllib
from pathlib import Path
from typing import Any

import typer

# what says where options are, and not what they are
GIVEN = ("COMMANDLINE", "DEFAULT_MAP")
OWN = ("config", "save_config")


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let a file give what the command line does not; an eager callback of `--config`.

    Raises:
        typer.BadParameter: where there is no such file, it is no TOML, or names no option.
    """
    if path is None or context.resilient_parsing:
        return path
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise typer.BadParameter(f"--config {path}: {error}") from error
    known = {_name(option): option for option in _options(context)}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise typer.BadParameter(
            f"--config {path}: there is no option {unknown[0]!r}; there are {', '.join(known)}"
        )
    values = {str(known[name].name): _text(value) for name, value in given.items()}
    context.default_map = {**(context.default_map or {}), **values}
    return path


def write_config(context: typer.Context, path: Path) -> None:
    """Write the options that a command was given, as `read_config` reads them."""
    from anabranch.data import atomic_write

    lines = []
    for option in _options(context):
        source = context.get_parameter_source(str(option.name))
        value = context.params.get(str(option.name))
        if source is not None and source.name in GIVEN:
            lines.append(f"{_name(option)} = {json.dumps(value, default=str)}\n")
    with atomic_write(path) as file:
        file.write("".join(lines).encode())


def _options(context: typer.Context) -> list[Any]:
    # typer may bring a click of its own, so that classes do not tell
    found = (p for p in context.command.params if p.param_type_name == "option")
    return [option for option in found if option.name not in (*OWN, "help")]


def _name(option: Any) -> str:
    """The longest way to write it, without dashes."""
    return max(option.opts, key=len).lstrip("-")


def _text(value: Any) -> Any:
    """As the command line would say it: options such as --components are texts."""
    if isinstance(value, bool):
        return value
    return [str(item) for item in value] if isinstance(value, list) else str(value)
