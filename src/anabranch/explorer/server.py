"""The explorer as a server on this machine."""

import logging
from pathlib import Path

from dash import Dash
from werkzeug.serving import make_server

from anabranch.explorer.callbacks import connect
from anabranch.explorer.desk import Desk
from anabranch.explorer.guard import Guard
from anabranch.explorer.page import layout

# What listens where nobody else can: the explorer reads and writes files of the user.
LOOPBACK = "127.0.0.1"


def make_app(desk: Desk, guard: Guard) -> Dash:
    """The page and its answers, behind a guard.

    Args:
        desk: what is explored.
        guard: who may.
    """
    app = Dash(
        __name__,
        title=f"anabranch: {desk.project.data.name}",
        update_title="",
        assets_folder=str(Path(__file__).parent / "assets"),
        serve_locally=True,
    )
    app.layout = layout(desk.project)
    connect(app, desk)
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    guard.watch(app.server, app.csp_hashes())
    return app


def serve(desk: Desk, port: int, token: str | None = None) -> tuple[str, object]:
    """Begin to listen on this machine.

    Args:
        desk: what is explored.
        port: 0 for any that is free.
        token: the secret of the address; a new one by default.

    Returns:
        The address to open, and the server, whose ``serve_forever`` answers.

    Raises:
        OSError: where the port is taken.
    """
    # a line for every look at a fit would drown what concerns the user
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(LOOPBACK, port, lambda *_: [], threaded=True)
    guard = Guard(server.server_port, token)
    server.app = make_app(desk, guard).server
    return guard.address, server
