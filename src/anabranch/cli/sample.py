"""`anabranch sample`: new rows."""

from typing import Annotated

import typer

from anabranch.cli import options

BATCH_ROWS = 1 << 16


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
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The same seed, the same rows.")
    ] = 0,
) -> None:
    """Draw new rows from a model.

    They have the units and the columns of its data.
    """
    from numpy.random import RandomState

    from anabranch.cli.loading import load_estimator, n_features
    from anabranch.cli.rows import model_names
    from anabranch.data import TableWriter
    from anabranch.data.atomic import check_output

    mixture = load_estimator(model)
    check_output(output)
    if component is not None and not 0 <= component < mixture.n_components_:
        raise ValueError(
            f"--component {component}: the model has the components 0..{mixture.n_components_ - 1}"
        )
    names = model_names(mixture) or [f"x{j}" for j in range(n_features(mixture))]
    if with_component and "component" in names:
        raise ValueError("--with-component: the data have a column 'component' of their own")
    random_state = RandomState(seed)
    with TableWriter(output) as writer:
        for start in range(0, n, BATCH_ROWS):
            rows = min(BATCH_ROWS, n - start)
            X, labels = mixture.sample(rows, component=component, random_state=random_state)
            columns = dict(zip(names, X.T, strict=True))
            writer.write(columns | ({"component": labels} if with_component else {}))
    typer.echo(f"wrote {n} rows to {output}")
