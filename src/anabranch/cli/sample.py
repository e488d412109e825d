"""`anabranch sample`: new rows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from anabranch.cli import options
from anabranch.cli.settings import parse_settings

if TYPE_CHECKING:
    from anabranch.estimators.estimator import Estimator

BATCH_ROWS = 1 << 16
# how a cell begins that a spreadsheet takes for a formula
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def sample(
    model: options.Model,
    output: options.TableOutput,
    n: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many rows.")] = 1000,
    component: Annotated[
        int | None, typer.Option(show_default=False, help="Draw from this component only.")
    ] = None,
    with_component: Annotated[
        bool, typer.Option("--with-component", help="Write the component of each row, too.")
    ] = False,
    context: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=NUMBER",
            show_default=False,
            help="What the rows are to be given, where the density is conditional; once for each "
            "column.",
        ),
    ] = None,
    given: options.Given = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The same seed, the same rows.")
    ] = 0,
    raw_names: Annotated[
        bool,
        typer.Option(
            "--raw-names",
            help="Write names of columns to CSV as they are, though a spreadsheet would take them "
            "for formulas, or a terminal for commands.",
        ),
    ] = False,
) -> None:
    """Draw new rows from a model.

    They have the units and the columns of its data. With --given there are as many for each row of
    that file, one after the other, beside the column given, which counts its rows from 0.
    """
    import numpy as np
    from numpy.random import RandomState

    from anabranch.cli.given import read_given
    from anabranch.cli.loading import load_density, load_mixture
    from anabranch.cli.paths import check_files
    from anabranch.cli.piped import is_standard_output
    from anabranch.cli.rows import at_rows
    from anabranch.cli.text import say
    from anabranch.data import TableWriter

    check_files([model, *([given] if given else [])], {"--output": output})
    clusters = component is not None or with_component
    mixture: Any = load_mixture(model) if clusters else load_density(model)
    if component is not None and not 0 <= component < mixture.n_components_:
        raise ValueError(
            f"--component {component}: the model has the components 0..{mixture.n_components_ - 1}"
        )
    known = None
    if given is not None:
        if context:
            raise ValueError("--given and --context say the same: one of them is enough")
        known = read_given(mixture, given, options.csv_format(None, None, "."))
        n *= len(known)
    how: dict[str, Any] = {}
    if known is None and (context or mixture.context_size):
        how["context"] = _context(mixture, context or [])
    elif mixture.has_clusters:
        how["component"] = component
    names = mixture.column_names or [f"x{j}" for j in range(mixture.n_features_in_)]
    if with_component and "component" in names:
        raise ValueError("--with-component: the data have a column 'component' of their own")
    if known is not None and "given" in names:
        raise ValueError("--given: the data have a column 'given' of their own")
    if not raw_names and output.suffix.lower() != ".parquet":
        names = _harmless(names)
    random_state = RandomState(seed)
    with TableWriter(output) as writer:
        for start in range(0, n, BATCH_ROWS):
            rows = min(BATCH_ROWS, n - start)
            beside = {}
            if known is not None:
                numbers = np.arange(start, start + rows) // (n // len(known))
                how["context"], beside["given"] = at_rows(known, numbers), numbers
            drawn = mixture.sample(rows, **how, random_state=random_state)
            X = drawn[0] if mixture.has_clusters else drawn
            columns = beside | _columns(X, names)
            writer.write(columns | ({"component": drawn[1]} if with_component else {}))
    say(f"wrote {n} rows to {output}", err=is_standard_output(output))


def _columns(X: Any, names: list[str]) -> dict[str, Any]:
    """The columns of an array, or of a frame."""
    if not hasattr(X, "columns"):
        return dict(zip(names, X.T, strict=True))
    # a frame has no column that names rows
    return {str(name): X[name].to_numpy() for name in X.columns}


def _harmless(names: list[str]) -> list[str]:
    """Names that a spreadsheet does not take for formulas, nor a terminal for commands."""
    from anabranch.cli.job import note
    from anabranch.cli.text import plain

    shown = [plain(f"'{name}" if name[:1] in FORMULAS else name) for name in names]
    changed = [name for name, old in zip(shown, names, strict=True) if name != old]
    if changed:
        note(
            f"{len(changed)} columns are written under names that are no formulas or commands, "
            f"such as {changed[0]}; --raw-names keeps them as they are"
        )
    return shown


def _context(model: "Estimator", texts: list[str]) -> list[float]:
    """The values of --context in the model's order.

    Raises:
        ValueError: where the model takes no context, or another.
    """
    from anabranch.cli.columns import context_names

    names = context_names(model)
    if names is None:
        raise ValueError("--context: the model was fitted without one")
    values = parse_settings("--context", texts)
    if set(values) != set(names):
        raise ValueError(
            f"--context must give a number for each of {', '.join(names)}, got "
            + (", ".join(values) or "none")
        )
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"--context {name} must be a number, got {value!r}")
    return [float(values[name]) for name in names]
