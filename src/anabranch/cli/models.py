"""`anabranch models`: the recipes."""

import typer


def models() -> None:
    """List the recipes of models.

    The command fit takes the name of one by --flow, its keywords by --flow-option.
    """
    import inspect

    from anabranch.cli.text import listing
    from anabranch.models import list_recipes

    recipes = sorted(list_recipes().items())
    typer.echo(listing({name: (inspect.getdoc(r) or "").partition("\n")[0] for name, r in recipes}))
