"""Files of this version decode to the same bytes, whatever computes."""

import io
import json
import os
import subprocess
import sys

import pytest
import torch

from anabranch.coding import Container
from tests.coding.golden.decode import HERE, NAMES, failures, model_of


def test_golden_files_decode():
    assert failures() == []


def test_the_model_codes_golden_files():
    for name in NAMES:
        container = Container(io.BytesIO((HERE / f"{name}.anb").read_bytes()))
        assert [block.method for block in container.blocks] == [0]


def test_golden_models_are_certified_for_float32():
    assert all(model_of(name).carrier == torch.float32 for name in NAMES)


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_golden_files_decode_with_other_instructions(capability):
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    if capability == "avx2":
        environment |= {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.coding.golden.decode"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failures"] == []
    assert found["capability"].lower() in (capability, "default")  # an old processor has less
