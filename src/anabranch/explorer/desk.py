"""What one user does with a project: fits one after another, and the models that come of them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.explorer.jobs import FitJob, Wish
from anabranch.explorer.project import Project

# Components of the fits that can be asked for at once.
MOST_AT_ONCE = 8
MOST_COMPONENTS = 200


@dataclass(frozen=True)
class Asked:
    """The settings of a fit as a page has them.

    Attributes:
        components: K, or "auto".
        columns: to use.
        flow: recipe of the components, `anabranch.explorer.jobs.GAUSSIANS`, or None for the usual
            one.
        inference: "exact", "variational" or "invariant".
        max_epochs: upper limit, or None.
        use_labels: whether the labels teach.
    """

    components: int | str
    columns: Sequence[str]
    flow: str | None = None
    inference: str = "exact"
    max_epochs: int | None = None
    use_labels: bool = False


class Desk:
    """A project, the fit that runs, those that wait, and those that are done.

    Requests come from several threads; whatever changes is changed under one lock.

    Args:
        project: what is explored.
        model: a file to begin with, or None.
    """

    def __init__(self, project: Project, model: Path | None = None) -> None:
        self.project = project
        self.lock = threading.RLock()
        self.job: FitJob | None = None
        self.waiting: list[Wish] = []
        self.jobs: dict[str, FitJob] = {}
        # the model that is shown, and the one before it
        self.shown: str | None = None
        self.before: str | None = None
        self.version = 0
        if model is not None:
            self._show(project.take(model))

    @property
    def is_busy(self) -> bool:
        """Whether a fit runs or waits."""
        return bool(self.waiting) or (self.job is not None and self.job.look() == "running")

    def ask(self, asked: Sequence[Asked]) -> None:
        """Run fits one after another.

        Raises:
            ValueError: where one runs already, or settings cannot be meant.
        """
        with self.lock:
            if self.is_busy:
                raise ValueError("a fit is running: wait for it, or cancel it")
            if not 1 <= len(asked) <= MOST_AT_ONCE:
                raise ValueError(f"1 to {MOST_AT_ONCE} fits can be asked for at once")
            taken: list[Wish] = []
            for one in asked:
                taken.append(self._wish(one, {wish.output for wish in taken}))
            self.waiting = taken
            self._next()

    def look(self) -> FitJob | None:
        """See how far the fit is; take its model when it is done, and go on to the next."""
        with self.lock:
            job = self.job
            if job is None or job.state != "running" or job.look() == "running":
                return job
            if job.state == "done":
                self._show(self.project.take(job.wish.output))
                self.jobs[job.wish.output.name] = job
            if self.waiting and job.state == "done":
                self._next()
            else:
                self.waiting = []
            return self.job

    def cancel(self) -> None:
        """Stop the fit that runs, and forget those that wait."""
        with self.lock:
            self.waiting = []
            if self.job is not None:
                self.job.cancel()

    def command(self, name: str) -> str | None:
        """The line that fits a model in a shell; None for one that was not fitted here."""
        return self.jobs[name].wish.command() if name in self.jobs else None

    def _next(self) -> None:
        self.job = FitJob(self.waiting.pop(0))
        self.job.start()

    def _show(self, name: str) -> None:
        if name != self.shown:
            self.before, self.shown = self.shown, name
        self.version += 1

    def _wish(self, asked: Asked, taken: set[Path]) -> Wish:
        project = self.project
        columns = [name for name in project.columns if name in set(asked.columns)]
        if not columns:
            raise ValueError("choose at least one column")
        k = asked.components
        if k != "auto" and not (isinstance(k, int) and 1 <= k <= MOST_COMPONENTS):
            raise ValueError(f"clusters are 'auto' or 1 to {MOST_COMPONENTS}, got {k!r}")
        if asked.max_epochs is not None and asked.max_epochs < 0:
            raise ValueError(f"epochs are a number from 0, got {asked.max_epochs}")
        if asked.use_labels and not project.classes:
            raise ValueError("there are no labels yet: select rows on the map and name them")
        if asked.use_labels and k == "auto":
            raise ValueError("labels teach a number of clusters: give one instead of 'auto'")
        wish = Wish(
            project.data,
            project.next_model(taken),
            k,
            None if columns == project.columns else columns,
            flow=asked.flow,
            inference=asked.inference,
            max_epochs=asked.max_epochs,
            label_column=project.label_column,
            mixed=not project.is_plain,
        )
        if not asked.use_labels:
            return wish
        project.save_labels()
        data, name = project.labelled_path, project.labels_name
        return replace(wish, data=data, label_column=name, use_labels=True)
