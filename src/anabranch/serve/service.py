"""The service: its addresses, and what stands before them."""

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from anabranch.batch import Scorer
from anabranch.estimators.density import DensityEstimator
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.files import describe
from anabranch.serve.bodies import (
    ARROW,
    JSON,
    BodyError,
    TooLargeError,
    read_object,
    read_rows,
    write_answer,
)

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

Answer = tuple[bytes, str]


@dataclass(frozen=True)
class Limits:
    """What a service takes.

    Attributes:
        rows: of a request.
        bytes: of its body; the columns of an Arrow stream may take four times as much, unpacked.
        waiting: requests that wait for the one that is answered; others are told to come again.

    Raises:
        ValueError: for a limit that is no positive integer.
    """

    rows: int = 100_000
    bytes: int = 1 << 24
    waiting: int = 64

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"limits.{name} must be a positive integer, got {value!r}")


class RefusedError(Exception):
    """A request that gets no answer, and why.

    Args:
        status: of HTTP.
        reason: a sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def make_app(
    model: str | Path,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    hosts: tuple[str, ...] = ("*",),
) -> "FastAPI":
    """The service of a model as an application for any ASGI server.

    ``POST /score`` gives log-densities, ``POST /predict`` components and certainties, ``POST
    /sample`` new rows, ``GET /health`` and ``GET /info`` say that it is there and what it is;
    ``GET /openapi.json`` describes all of it. Bodies and answers are JSON or Arrow streams. One
    request at a time is answered, on one thread, by `anabranch.batch.Scorer`: as many processes
    run side by side as there are cores. A model file that is replaced serves from the next request.

    Args:
        model: file of a fitted estimator.
        limits: on requests.
        token: that requests must carry as ``Authorization: Bearer TOKEN``, all but those of health;
            None for none.
        hosts: names by which the service may be called, "*" for all.

    Returns:
        The application.

    Raises:
        OSError, ValueError: where the model cannot be used.
        ImportError: without fastapi.

    Example:
        >>> import tempfile
        >>> from anabranch import GaussianMixture, save
        >>> path = Path(tempfile.mkdtemp()) / "m.safetensors"
        >>> save(GaussianMixture(1).fit([[0.0], [1.0], [2.0]]), path)
        >>> sorted(route.path for route in make_app(path).routes)[:3]
        ['/health', '/info', '/openapi.json']
    """
    try:
        from anyio import CapacityLimiter, to_thread
        from fastapi import FastAPI, Request, Response
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ModuleNotFoundError as error:
        raise ImportError('the service needs fastapi: pip install "anabranch[serve]"') from error
    limits = limits or Limits()
    service = Service(Path(model), limits)
    app = FastAPI(title="anabranch", docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    one_at_a_time = CapacityLimiter(1)

    async def answer(request: Request, work: Callable[[bytes, str, str], Answer]) -> Response:
        body = await _body(request, limits.bytes)
        kinds = _kinds(request)
        if one_at_a_time.statistics().tasks_waiting >= limits.waiting:
            raise RefusedError(503, f"{limits.waiting} requests are waiting: come again")
        content, kind = await to_thread.run_sync(work, body, *kinds, limiter=one_at_a_time)
        return Response(content, media_type=kind)

    @app.middleware("http")
    async def guarded(request: Request, go_on: Callable[..., Any]) -> Response:
        known = token is None or request.url.path == "/health"
        if not known and not _is_token(request.headers.get("authorization", ""), str(token)):
            return _refusal(RefusedError(401, "send the token as Authorization: Bearer TOKEN"))
        return await go_on(request)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Response:
        return _refusal(error)

    @app.get("/health", summary="Whether the service answers")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/info", summary="What the model is, its columns, and the limits on requests")
    async def info() -> dict[str, Any]:
        return await to_thread.run_sync(service.info, limiter=one_at_a_time)

    @app.post("/score", summary="Log-density of each row, in nats", openapi_extra=ROWS)
    async def score(request: Request) -> Response:
        return await answer(request, partial(service.told, ("log_prob",), _on_bad(request)))

    @app.post("/predict", summary="Component of each row, and how sure it is", openapi_extra=ROWS)
    async def predict(request: Request) -> Response:
        outputs = ("component", "certainty")
        return await answer(request, partial(service.told, outputs, _on_bad(request)))

    @app.post("/sample", summary="New rows of the model", openapi_extra=DRAWS)
    async def sample(request: Request) -> Response:
        return await answer(request, service.sample)

    return app


class Service:
    """What a model answers.

    Args:
        model: file of a fitted estimator.
        limits: on requests.

    Raises:
        OSError, ValueError: where the model cannot be used.
    """

    def __init__(self, model: Path, limits: Limits) -> None:
        self.path, self.limits = model, limits
        self._model()

    def info(self) -> dict[str, Any]:
        """What the model is, and what is taken."""
        model = self._model()
        about = {name: value for name, value in describe(self.path).items() if name != "settings"}
        able = {"scores": model.score_kind, "clusters": model.has_clusters}
        return about | {"names": self._names(model)} | able | {"limits": asdict(self.limits)}

    def told(
        self, outputs: tuple[str, ...], on_bad: str, body: bytes, kind: str, wanted: str
    ) -> Answer:
        """What the model says of the rows of a body."""
        limits = self.limits
        with _refusing():
            names = self._names(self._model())
            most = {"most_rows": limits.rows, "most_bytes": 4 * limits.bytes}
            rows = read_rows(body, kind, names, **most)
            if not len(rows):
                raise BodyError("the body has no rows")
            scorer = Scorer(self.path, outputs, on_bad=cast(Any, on_bad))
            return write_answer(scorer(rows), wanted), wanted

    def sample(self, body: bytes, kind: str, wanted: str) -> Answer:
        """Rows that the model draws."""
        with _refusing():
            if kind != JSON:
                raise RefusedError(415, f"send {JSON} to ask for samples")
            asked = read_object(body)
            if unknown := set(asked) - {"n", "seed", "component", "context"}:
                raise BodyError(
                    f"n, seed, component and context may be given, got {sorted(unknown)[0]!r}"
                )
            n, seed = asked.get("n", 1), asked.get("seed")
            _check_whole("n", n, 1, self.limits.rows)
            if seed is not None:
                _check_whole("seed", seed, 0, 2**32 - 1)
            given = {name: asked[name] for name in ("component", "context") if name in asked}
            return write_answer(self._drawn(n, seed, given), wanted), wanted

    def _drawn(self, n: int, seed: int | None, given: Mapping[str, Any]) -> pd.DataFrame:
        model = self._model()
        if model.score_kind == "none":
            raise ValueError("the model finds clusters and no density: it has no samples")
        allowed = "component" if model.has_clusters else "context"
        if wrong := set(given) - {allowed}:
            raise ValueError(f"the model takes no {wrong.pop()}")
        density: Any = cast("DensityEstimator", model)
        drawn = density.sample(n, random_state=np.random.RandomState(seed), **given)
        X = drawn[0] if model.has_clusters else drawn
        names = self._names(model)
        frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=names)
        return frame.assign(component=drawn[1]) if model.has_clusters else frame

    def _model(self) -> Estimator:
        """The model, loaded once, and again where its file has been replaced."""
        return Scorer(self.path, ("log_prob",)).loaded

    @staticmethod
    def _names(model: Estimator) -> list[str]:
        return model.column_names or [f"x{j}" for j in range(model.n_features_in_)]


class _refusing:  # noqa: N801 - a context manager, used as a function
    """Turns what a request is at fault for into a refusal."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, TooLargeError):
            raise RefusedError(413, str(error)) from error
        if isinstance(error, BodyError):
            raise RefusedError(400, str(error)) from error
        if isinstance(error, ValueError | TypeError):
            raise RefusedError(422, str(error)) from error
        if isinstance(error, OSError):
            raise RefusedError(503, "the model file cannot be read") from error


def _refusal(error: RefusedError) -> "Response":
    from fastapi import Response

    more = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(error.status)
    content = json.dumps({"error": " ".join(str(error).split())})
    return Response(content, error.status, more, media_type=JSON)


async def _body(request: "Request", most: int) -> bytes:
    """The body of a request, read no further than it may be long."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise RefusedError(413, f"a body has at most {most} bytes, got {declared}")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise RefusedError(413, f"a body has at most {most} bytes, got more")
        parts.append(part)
    return b"".join(parts)


def _kinds(request: "Request") -> tuple[str, str]:
    """What is sent, and what is wanted: the same where nothing else is asked for."""
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in (JSON, ARROW):
        raise RefusedError(415, f"a body is {JSON} or {ARROW}, got {kind[:60]!r}")
    accepted = request.headers.get("accept", "*/*")
    return kind, next((known for known in (JSON, ARROW) if known in accepted), kind)


def _on_bad(request: "Request") -> str:
    on_bad = request.query_params.get("on_bad", "raise")
    if on_bad not in ("raise", "null"):
        raise RefusedError(422, f"on_bad must be 'raise' or 'null', got {on_bad[:20]!r}")
    return on_bad


def _is_token(header: str, token: str) -> bool:
    return hmac.compare_digest(header.encode(), f"Bearer {token}".encode())


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= cast(int, value) <= most:
        raise ValueError(f"{name} must be an integer in {least}..{most}, got {value!r:.30}")


_TABLE = {
    "type": "object",
    "properties": {
        "columns": {"type": "object", "additionalProperties": {"type": "array", "items": {}}},
        "rows": {"type": "array", "items": {"type": "array", "items": {}}},
    },
    "description": "columns by name, or rows with the model's columns in their order",
    "minProperties": 1,
    "maxProperties": 1,
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ERROR = {
    "description": "why the request is refused",
    "content": {JSON: {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}},
}
_ANSWERS = {
    "200": {
        "description": "columns of answers",
        "content": {JSON: {"schema": _TABLE}, ARROW: _BINARY},
    },
    "4XX": _ERROR,
    "503": _ERROR,
}
ROWS = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": _TABLE}, ARROW: _BINARY},
    },
    "parameters": [
        {
            "name": "on_bad",
            "in": "query",
            "schema": {"enum": ["raise", "null"], "default": "raise"},
            "description": "refuse rows with missing numbers, or answer null for them",
        }
    ],
    "responses": _ANSWERS,
}
DRAWS = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "n": {"type": "integer", "minimum": 1, "default": 1},
                        "seed": {"type": "integer", "minimum": 0},
                        "component": {"type": "integer", "minimum": 0},
                        "context": {"type": "array", "items": {"type": "number"}},
                    },
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": _ANSWERS,
}
