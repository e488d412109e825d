"""One browser of this machine is let in, and nobody else."""

import pytest
from flask import Flask

from anabranch.explorer.guard import COOKIE, MOST_BYTES, Guard

OWN = {"Host": "127.0.0.1:8050"}
ORIGIN = {**OWN, "Origin": "http://127.0.0.1:8050"}


@pytest.fixture
def guard():
    return Guard(8050, token="secret")


@pytest.fixture
def server(guard):
    server = Flask(__name__)

    @server.route("/", methods=["GET", "POST"])
    def page():
        from flask import request

        return str(len(request.get_data()))

    guard.watch(server, ["'sha256-abc'"])
    return server


@pytest.fixture
def client(server):
    client = server.test_client()
    assert client.get("/?token=secret", headers=OWN).status_code == 302
    return client


def test_the_address_lets_one_browser_in(server, client):
    assert client.get("/", headers=OWN).status_code == 200
    other = server.test_client()
    assert other.get("/?token=secret", headers=OWN).status_code == 403, "it has been used"
    assert other.get("/", headers=OWN).status_code == 403


def test_the_cookie_is_for_this_site_and_no_script(server):
    answer = server.test_client().get("/?token=secret", headers=OWN)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "secret" not in cookie
    assert answer.headers["Location"] == "/", "the secret leaves the address"


@pytest.mark.parametrize("token", ["", "Secret", "secret2", "\N{SNOWMAN}"])
def test_other_tokens_are_refused(server, token):
    client = server.test_client()
    assert client.get("/", query_string={"token": token}, headers=OWN).status_code == 403
    assert client.get("/?token=secret", headers=OWN).status_code == 302, "and use none up"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "evil.example:8050"])
def test_other_names_are_refused(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:8051", "https://127.0.0.1:8050"],
)
def test_other_sites_cannot_write(client, origin):
    headers = OWN if origin is None else {**OWN, "Origin": origin}
    assert client.post("/", data=b"x", headers=headers).status_code == 403
    assert client.post("/", data=b"x", headers=ORIGIN).status_code == 200


def test_what_is_sent_has_a_limit(client):
    assert client.post("/", data=b"x" * MOST_BYTES, headers=ORIGIN).status_code == 200
    assert client.post("/", data=b"x" * (MOST_BYTES + 1), headers=ORIGIN).status_code == 413


def test_pages_may_load_nothing_from_elsewhere(client):
    for answer in (client.get("/", headers=OWN), client.get("/", headers={"Host": "evil"})):
        policy = dict(
            part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self' 'unsafe-eval' 'sha256-abc'"
        assert policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Cache-Control"] == "no-store"


def test_tokens_are_not_guessed():
    assert len({Guard(1).token for _ in range(100)}) == 100
