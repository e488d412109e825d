"""Importing the package changes nothing outside it."""

import json
import subprocess
import sys

import pytest

# everything that a module could be tempted to change, read before and after the import
PROBE = """
import builtins, json, locale, logging, os, random, signal, sys, warnings
import numpy, torch

def state():
    return {
        "dtype": str(torch.get_default_dtype()),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "validation": torch.distributions.Distribution._validate_args,
        "precision": torch.get_float32_matmul_precision(),
        "device": str(torch.get_default_device()),
        "torch seed": hash(torch.get_rng_state().numpy().tobytes()),
        "numpy errors": numpy.geterr(),
        "numpy print": repr(numpy.get_printoptions()),
        "numpy seed": repr(numpy.random.get_state()),
        "python seed": hash(random.getstate()),
        "filters": repr(warnings.filters),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "log level": logging.getLogger().level,
        "log handlers": repr(logging.getLogger().handlers),
        "interrupt": repr(signal.getsignal(signal.SIGINT)),
        "folder": os.getcwd(),
        "streams": [id(sys.stdout), id(sys.stderr), id(sys.excepthook)],
    }

written = []
def watch(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        written.append(str(args[0]))
    elif event in ("os.mkdir", "os.rename", "socket.connect", "subprocess.Popen"):
        written.append(f"{event} {args}")
sys.addaudithook(watch)

before, loaded = state(), set(sys.modules)
import CODE
after = state()
print(json.dumps({
    "changed": [k for k in before if before[k] != after[k]],
    "written": written,
    "loaded": sorted({m.partition(".")[0] for m in set(sys.modules) - loaded}),
}))
"""
HEAVY = {"pandas", "matplotlib", "plotly", "sklearn", "pyarrow", "openTSNE", "jinja2", "scipy"}
FLOORS = ("functional", "networks", "transforms", "distributions", "objectives")


def probe(code, folder):
    """Run the probe around an import, in a fresh interpreter that writes no byte code."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error::DeprecationWarning:anabranch", "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir()), "files were left behind"
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "modules", ["anabranch", ", ".join(f"anabranch.{floor}" for floor in FLOORS)]
)
def test_import_changes_nothing(modules, tmp_path):
    found = probe(PROBE.replace("import CODE", f"import {modules}"), tmp_path)
    assert found["changed"] == []
    assert found["written"] == []
    assert set(found["loaded"]) & HEAVY == set()


@pytest.mark.slow
def test_the_probe_can_fail(tmp_path):
    code = """
torch.distributions.Distribution.set_default_validate_args(False)
numpy.seterr(all="raise"); warnings.simplefilter("ignore"); open(os.devnull, "w").close()
import sklearn
"""
    found = probe(PROBE.replace("import CODE", code), tmp_path)
    assert {"validation", "numpy errors", "filters"} <= set(found["changed"])
    assert any("null" in name for name in found["written"])
    assert "sklearn" in found["loaded"]
