"""Who may speak to the explorer: one browser on this machine, which was given the address."""

import hmac
import secrets
from collections.abc import Sequence

from flask import Flask, Response, abort, make_response, redirect, request

COOKIE = "anabranch"
# What a page sends at once is below this: a lasso, a few settings, a table of choices.
MOST_BYTES = 1 << 18
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Lets a browser in once by a token in the address, and from then on by its cookie.

    A page of another site can neither read (the cookie is ``SameSite=Strict``, and the name of the
    host must be one of this machine's, so that no foreign name can be bent to it) nor write (the
    origin of every POST must be our own).

    Args:
        port: where the server listens.
        token: the secret in the address; a new one by default. It is good for one browser.

    Example:
        >>> guard = Guard(8050, token="secret")
        >>> guard.address
        'http://127.0.0.1:8050/?token=secret'
    """

    def __init__(self, port: int, token: str | None = None) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.token: str | None = token or secrets.token_urlsafe(24)
        self.address = f"http://{self.hosts[0]}/?token={self.token}"
        self._session = secrets.token_urlsafe(32)

    def watch(self, server: Flask, script_hashes: Sequence[str]) -> None:
        """Stand before every request of a server and behind every answer.

        Args:
            server: of the pages.
            script_hashes: of the inline scripts that its pages hold, as a policy states them.
        """
        server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
        policy = "; ".join(
            (
                "default-src 'none'",
                # plotly compiles its WebGL drawing
                f"script-src 'self' 'unsafe-eval' {' '.join(script_hashes)}",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                "connect-src 'self'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            )
        )
        server.before_request(self._admit)

        @server.after_request
        def harden(response: Response) -> Response:
            response.headers.update({**HEADERS, "Content-Security-Policy": policy})
            response.headers.setdefault("Cache-Control", "no-store")
            return response

    def _admit(self) -> Response | None:
        if request.host not in self.hosts:
            abort(400, "this name is not that of the explorer's machine")
        given = request.args.get("token")
        if given is not None and request.method == "GET" and self._is_token(given):
            self.token = None  # it has been used
            response = make_response(redirect("/"))
            response.set_cookie(COOKIE, self._session, httponly=True, samesite="Strict")
            return response
        if not hmac.compare_digest(
            request.cookies.get(COOKIE, "").encode(), self._session.encode()
        ):
            abort(403, "open the address that the explorer has printed; it is good for one browser")
        own = request.headers.get("Origin") in [f"http://{host}" for host in self.hosts]
        if request.method not in ("GET", "HEAD") and not own:
            abort(403, "the request comes from another site")
        return None

    def _is_token(self, given: str) -> bool:
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())
