"""Programs as files, which are checked against the model before they take their name."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anabranch.data import atomic_write, check_output
from anabranch.estimators.estimator import Estimator
from anabranch.estimators.programs import Program
from anabranch.export.programs import program_of
from anabranch.version import __version__

# How far an output may be from the model: nats or probabilities, and of large ones a share.
TOLERANCE = 1e-4
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        inputs: names and shapes, "n" for the rows.
        outputs: likewise.
        rows: that it was checked on.
        errors: the largest difference of an output from what the model says.
    """

    inputs: dict[str, list[int | str]]
    outputs: dict[str, list[int | str]]
    rows: int
    errors: dict[str, float]


def export_model(model: Estimator | nn.Module, path: str | Path) -> Exported:
    """Write what a model says of rows as a program for batches of any size.

    The program takes ``x`` (n, D), float64 in the units of the data (float32 for a module alone),
    and ``context`` (n, C) where the model has one. It gives ``log_prob`` (n,) in nats; of a mixture
    ``log_joint`` (n, K), whose logsumexp that is, and ``posterior`` (n, K); of a flow ``latents``.
    What it does not do is check rows: a missing number gives no number.

    Before the file takes its name it is read back, and compared with the model on a thousand rows
    that the model has drawn. Differences above 1e-4, relative ones where values exceed 1, are
    refused.

    Args:
        model: a fitted estimator, or a density or mixture that a recipe built.
        path: of the file, which says what is written: ".pt2" for `torch.export`, ".onnx" for ONNX.

    Returns:
        What the program takes and gives, and how near it is.

    Raises:
        ValueError: for another ending, a model that is no program, or one that the exporter cannot
            follow, or that does not say the same.
        ImportError: for ONNX without the packages of the extra "export".
        OSError: where the file cannot be written.

    Example:
        >>> import tempfile
        >>> from anabranch import GaussianMixture
        >>> mixture = GaussianMixture(1).fit([[0.0], [1.0], [2.0]])
        >>> path = Path(tempfile.mkdtemp()) / "m.pt2"
        >>> export_model(mixture, path).outputs["log_joint"]
        ['n', 1]
        >>> program = torch.export.load(path).module()
        >>> program(torch.ones(1, 1).double())["log_prob"].numpy().round(3)
        array([-0.716])
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"the name must end in {' or '.join(FORMATS)}, got {path.name!r}")
    check_output(path)
    to_bytes, run = FORMATS[path.suffix]
    _check_packages(path.suffix)
    program = program_of(model)
    with quiet():
        content = to_bytes(_traced(program), program)
        found = run(content, program.inputs)
    errors = _checked(program, found)
    with atomic_write(path) as file:
        file.write(content)
    n_rows = len(next(iter(found.values())))
    return Exported(_shapes(program.inputs), _shapes(found), n_rows, errors)


def _shapes(arrays: Arrays) -> dict[str, list[int | str]]:
    return {name: ["n", *array.shape[1:]] for name, array in arrays.items()}


def _traced(program: Program) -> torch.export.ExportedProgram:
    """The operations of a module, for any number of rows."""
    rows = torch.export.Dim("rows", min=1, max=2**31 - 1)
    inputs = tuple(torch.as_tensor(array) for array in program.inputs.values())
    shapes = tuple({0: rows} for _ in inputs)
    try:
        with torch.no_grad():
            return torch.export.export(program.module.eval(), inputs, dynamic_shapes=shapes)
    except Exception as error:  # whatever its parts run into
        raise ValueError(f"torch.export cannot follow this model: {_first(error)}") from error


def _checked(program: Program, found: Arrays) -> dict[str, float]:
    """How far the outputs are from what the model says.

    Raises:
        ValueError: where that is too far.
    """
    errors = {}
    for name, expected in program.expected.items():
        scale = np.maximum(1.0, np.abs(expected))
        error = float(np.max(np.abs(found[name] - expected) / scale))
        if not error <= TOLERANCE:
            raise ValueError(
                f"the exported {name} is {error:.2g} from what the model says of its own rows, "
                f"more than {TOLERANCE:g}: nothing was written"
            )
        errors[name] = error
    return errors


def about(program: Program) -> str:
    """What a file says of itself, as JSON."""
    return json.dumps({"anabranch": __version__, "inputs": list(program.inputs)})


def _pt2(traced: torch.export.ExportedProgram, program: Program) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(traced, buffer, extra_files={"anabranch.json": about(program)})
    return buffer.getvalue()


@torch.no_grad()
def _run_pt2(content: bytes, inputs: Arrays) -> Arrays:
    module = torch.export.load(io.BytesIO(content)).module()
    told = module(*(torch.as_tensor(array) for array in inputs.values()))
    return {name: tensor.numpy() for name, tensor in told.items()}


def _onnx(traced: torch.export.ExportedProgram, program: Program) -> bytes:
    inputs = tuple(torch.as_tensor(array[:2]) for array in program.inputs.values())
    with torch.no_grad():
        names = list(traced.module()(*inputs))
    try:
        made = torch.onnx.export(
            traced,
            inputs,
            input_names=list(program.inputs),
            output_names=names,
            dynamo=True,
            verbose=False,
        )
    except Exception as error:  # whatever it has no words for
        raise ValueError(f"ONNX has no words for this model: {_last(error)}") from error
    if made is None:
        raise ValueError("ONNX has no words for this model")
    proto: Any = made.model_proto
    proto.metadata_props.add(key="anabranch", value=about(program))
    return proto.SerializeToString()


def _run_onnx(content: bytes, inputs: Arrays) -> Arrays:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))  # pyright: ignore
    except Exception as error:  # of its own kinds, all without a common base
        raise ValueError(f"onnxruntime cannot run this model: {_first(error)}") from error


Writer = Callable[[torch.export.ExportedProgram, Program], bytes]
FORMATS: dict[str, tuple[Writer, Callable[[bytes, Arrays], Arrays]]] = {
    ".pt2": (_pt2, _run_pt2),
    ".onnx": (_onnx, _run_onnx),
}


def _check_packages(suffix: str) -> None:
    """Refuse ONNX before any work where its packages are missing."""
    if suffix != ".onnx":
        return
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ImportError(f'ONNX needs {", ".join(missing)}: pip install "anabranch[export]"')


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what exporters tell their authors from our users."""
    loggers = [
        logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")
    ]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _last(error: BaseException) -> str:
    """The reason at the bottom of a chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first(error)
