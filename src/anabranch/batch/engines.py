"""What makes the parts of a job: this process, several of them, or the workers of Ray."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from typing import Any, Protocol, TypeVar

Part = TypeVar("Part")
Fact = TypeVar("Fact")
ENGINES = ("local", "ray")


class Engine(Protocol):
    """Calls a function of each part, and gives what it returns as it comes."""

    def __call__(
        self, make: Callable[[Part], Fact], parts: Sequence[Part], workers: int
    ) -> Iterator[tuple[Part, Fact]]:
        """Parts and what became of them, as they are done."""
        ...


def engine_of(name: str) -> Engine:
    """The engine of that name.

    Raises:
        ValueError: for another.

    Example:
        >>> list(engine_of("local")(len, ["a", "bcd"], 1))
        [('a', 1), ('bcd', 3)]
    """
    if name not in ENGINES:
        raise ValueError(f"engine must be one of {ENGINES}, got {name!r}")
    return ray_tasks if name == "ray" else processes


def processes(
    make: Callable[[Part], Fact], parts: Sequence[Part], workers: int
) -> Iterator[tuple[Part, Fact]]:
    """Here, or in several processes of this machine.

    Raises:
        OSError: where one of them was killed.
    """
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield part, make(part)
        return
    context = multiprocessing.get_context("spawn")  # torch's threads do not live through a fork
    with ProcessPoolExecutor(min(workers, len(parts)), mp_context=context) as pool:
        waiting = {pool.submit(make, part): part for part in parts}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise OSError("a worker was killed; --resume makes the parts that are left") from error
        finally:
            pool.shutdown(cancel_futures=True)


def ray_tasks(
    make: Callable[[Part], Fact], parts: Sequence[Part], workers: int
) -> Iterator[tuple[Part, Fact]]:
    """As tasks of Ray, each on one CPU; one whose worker dies is run again.

    Raises:
        ImportError: where Ray is not installed.
    """
    ray = ray_module()

    def call(part: Part) -> Fact:  # Ray takes functions, and no objects that can be called
        return make(part)

    task, left = ray.remote(num_cpus=1, max_retries=3)(call), list(parts)
    waiting: dict[Any, Part] = {}
    while left or waiting:
        while left and len(waiting) < workers:
            part = left.pop(0)
            waiting[task.remote(part)] = part
        done, _ = ray.wait(list(waiting), num_returns=1)
        try:
            fact = ray.get(done[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # as it would be raised here
        yield waiting.pop(done[0]), fact


def ray_module() -> Any:
    """Ray, started on this machine where it runs not yet.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        ray, _ = import_module("ray"), import_module("ray.data")
    except ImportError as error:
        raise ImportError("Ray is not installed: pip install anabranch[ray]") from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    return ray
