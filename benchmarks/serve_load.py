"""`anabranch serve` under load on this machine: clients that ask at once, and bodies of nonsense.

Eight clients send 500 rows a request over connections that stay open; every tenth request is
malformed. Reported are answers that are not what they should be, and how much the memory of the
service grows once it is warm. Requests go to 127.0.0.1 alone, and their number is bounded.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from anabranch import FlowMixture, save
from anabranch.experiments import Figure
from benchmarks.recording import record

HOST = "127.0.0.1"
# Bodies that no service should answer but with a sentence.
NONSENSE = (
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"rows": [[1]]}',
    b'{"rows": [["x", 1, 2, 3]]}',
    b'{"columns": {"x0": [1, 2], "x1": [1]}}',
    b'{"rows": [[1e999, 1, 2, 3]]}',
    b'{"rows": {}, "columns": {}}',
)


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return found.getsockname()[1]


@contextmanager
def service(model: Path) -> Iterator[tuple[int, int]]:
    """A service of the model: its port, and the number of its process."""
    port = free_port()
    command = [sys.executable, "-m", "anabranch", "serve", str(model), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the service did not start") from None
                time.sleep(0.1)
        yield port, process.pid
        process.send_signal(signal.SIGTERM)
        if process.wait(60) not in (0, -signal.SIGTERM):
            raise RuntimeError(f"the service ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()


class Client(threading.Thread):
    """Sends a number of requests, one after the other, and counts what is not as it should be."""

    def __init__(self, port: int, body: bytes, n_requests: int) -> None:
        super().__init__()
        self.port, self.body, self.n_requests = port, body, n_requests
        self.n_rows = len(json.loads(body)["rows"])
        self.errors: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        for i in range(self.n_requests):
            wrong = i % 10 == 9
            body = NONSENSE[i // 10 % len(NONSENSE)] if wrong else self.body
            try:
                connection.request("POST", "/score", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                told = json.loads(answer.read())
                good = 400 <= answer.status < 500 and "error" in told
                if not wrong:
                    good = answer.status == 200 and len(told["columns"]["log_prob"]) == self.n_rows
                if not good:
                    self.errors.append(f"{answer.status} {str(told)[:80]}")
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.errors.append(repr(error))
                connection.close()
        connection.close()


def crowd(port: int, body: bytes, clients: int, n_requests: int) -> list[str]:
    """Errors of as many clients at once, of n requests together."""
    asking = [Client(port, body, n_requests // clients) for _ in range(clients)]
    for client in asking:
        client.start()
    for client in asking:
        client.join()
    return [error for client in asking for error in client.errors]


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(requests: int, clients: int, rows: int) -> list[Figure]:
    X = np.random.RandomState(0).randn(max(rows, 600), 4)
    flow = {"name": "realnvp", "n_layers": 2, "hidden": [16]}
    body = json.dumps({"rows": X[:rows].tolist()}).encode()
    with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
        model = Path(folder) / "model"
        save(FlowMixture(2, flow=flow, max_epochs=1, random_state=0).fit(X), model)
        with service(model) as (port, pid):
            errors = crowd(port, body, clients, max(clients, requests // 10))
            warm, started = resident_mb(pid), time.perf_counter()
            errors += crowd(port, body, clients, requests)
            seconds, end = time.perf_counter() - started, resident_mb(pid)
    print(f"{requests} requests in {seconds:.0f} s; {warm:.0f} MB, then {end:.0f}; {errors[:3]}")
    return [
        Figure("requests", requests),
        Figure("wrong answers", len(errors), 0.0, "lower"),
        Figure("growth of memory MB", end - warm, 30.0, "lower"),
        Figure("resident MB", end),
        Figure("requests a second", requests / seconds),
    ]


if __name__ == "__main__":
    record("bench-serve-load", __doc__, run, settings={}, requests=10_000, clients=8, rows=500)
