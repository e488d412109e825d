"""`anabranch serve`: a model behind HTTP."""

from typing import Annotated

import typer

from anabranch.cli import options

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    model: options.Model,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="ANABRANCH_TOKEN",
            show_default=False,
            help="What requests must carry as Authorization: Bearer TOKEN.",
        ),
    ] = None,
    most_rows: Annotated[int, typer.Option(min=1, help="Rows of a request.")] = 100_000,
    most_bytes: Annotated[int, typer.Option(min=1, help="Bytes of its body.")] = 1 << 24,
    waiting: Annotated[
        int, typer.Option(min=1, help="Requests that wait; others are told to come again.")
    ] = 64,
) -> None:
    """Answer requests for scores, predictions and samples of a model over HTTP.

    /health /info /score /predict /sample, in JSON and Arrow streams; /openapi.json describes them.
    Ctrl-C or SIGTERM ends it, after the requests that are open.
    """
    from importlib.util import find_spec

    from anabranch.cli.text import say

    if find_spec("uvicorn") is None or find_spec("fastapi") is None:
        raise ImportError('the service needs fastapi and uvicorn: pip install "anabranch[serve]"')
    import uvicorn

    from anabranch.serve import Limits, make_app

    if host not in LOOPBACK and not token:
        raise ValueError(f"--host {host} lets other machines in: give a --token, too")
    limits = Limits(most_rows, most_bytes, waiting)
    names = ("127.0.0.1", "localhost", "[::1]") if host in LOOPBACK else ("*",)
    app = make_app(model, limits=limits, token=token, hosts=names)
    say(f"serve {model} at http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=30,
        limit_concurrency=4 * waiting + 8,
    )
