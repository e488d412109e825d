"""Fits as processes of their own, which can be watched and stopped."""

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

State = Literal["running", "done", "failed", "cancelled"]
# The choice of no flow.
GAUSSIANS = "none (Gaussians)"
# Seconds that a fit has to stop by itself.
GRACE = 10


@dataclass(frozen=True)
class Wish:
    """What a fit shall do, in the words of `anabranch fit`.

    Attributes:
        data: the table.
        output: the model file.
        components: K, or "auto".
        columns: to use; None for all.
        flow: recipe, `GAUSSIANS`, or None for the usual one.
        inference: "exact", "variational" or "invariant".
        max_epochs: upper limit, or None for the usual one.
        label_column: column of the labels in the table, or None.
        use_labels: whether they teach.
        mixed: whether columns are of several kinds or have gaps.
        seed: of all random choices.
    """

    data: Path
    output: Path
    components: int | str
    columns: Sequence[str] | None = None
    flow: str | None = None
    inference: str = "exact"
    max_epochs: int | None = None
    label_column: str | None = None
    use_labels: bool = False
    mixed: bool = False
    seed: int = 0

    def arguments(self) -> list[str]:
        """The words of the command after `anabranch`.

        Example:
            >>> " ".join(Wish(Path("a.csv"), Path("m"), 3, ["x", "y"]).arguments())
            'fit a.csv -o m -k 3 --columns x,y --inference exact --seed 0'

        Raises:
            ValueError: for names of columns that a list with commas cannot hold.
        """
        words = ["fit", str(self.data), "-o", str(self.output), "-k", str(self.components)]
        if self.columns is not None:
            if any("," in name for name in self.columns):
                raise ValueError("of columns with a comma in their names all or none can be chosen")
            words += ["--columns", ",".join(self.columns)]
        words += ["--inference", self.inference]
        if self.flow == GAUSSIANS:
            words += ["--set", "flow=null"]
        elif self.flow is not None:
            words += ["--flow", self.flow]
        if self.max_epochs is not None:
            words += ["--max-epochs", str(self.max_epochs)]
        if self.label_column is not None:
            words += ["--label-column", self.label_column]
            words += [] if self.use_labels else ["--no-use-labels"]
        if self.mixed:
            words += ["--kind", "auto", "--missing", "marginal"]
        return [*words, "--seed", str(self.seed)]

    def command(self) -> str:
        """The line that does the same in a shell."""
        return shlex.join(["anabranch", *self.arguments()])


@dataclass
class FitJob:
    """A fit that runs, or has run.

    Its curve is read from the lines that the loop writes; stopping it leaves no file.

    Attributes:
        wish: what it does.
        state: "running", "done", "failed" or "cancelled".
        said: what the command printed.
    """

    wish: Wish
    state: State = "running"
    said: str = ""
    _process: Any = field(default=None, repr=False)
    _scratch: Any = field(default=None, repr=False)

    def start(self) -> None:
        """Run it."""
        self._scratch = TemporaryDirectory(prefix="anabranch-")
        words = [sys.executable, "-m", "anabranch", *self.wish.arguments()]
        words += ["--set", f"fit_options.log_path={json.dumps(str(self._path('log')))}"]
        words += ["--checkpoint", str(self._path("checkpoint"))]
        with self._path("out").open("wb") as out:
            self._process = subprocess.Popen(
                words, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def look(self) -> State:
        """See how far it is."""
        if self.state == "running" and self._process.poll() is not None:
            self.state = "done" if self._process.returncode == 0 else "failed"
            self._end()
        return self.state

    def cancel(self) -> None:
        """Stop it; nothing is kept."""
        if self.look() != "running":
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.state = "cancelled"
        self._end()

    def curve(self) -> list[dict[str, float]]:
        """One dict for each evaluation until now."""
        try:
            lines = self._path("log").read_text(encoding="utf-8").splitlines()
        except (OSError, AttributeError):
            return self._curve
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:  # half a line, which is being written
                break
        return found

    _curve: list[dict[str, float]] = field(default_factory=list, repr=False)

    def _end(self) -> None:
        self._curve = self.curve()
        self.said = self._path("out").read_text(encoding="utf-8", errors="replace").strip()
        self._scratch.cleanup()
        self._scratch = None

    def _path(self, name: str) -> Path:
        return Path(self._scratch.name) / name
