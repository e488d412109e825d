"""Decode the golden files in several ways; print which of them gave other bytes.

Run as a program, so that ATEN_CPU_CAPABILITY can be set before torch is imported.
"""

import io
import json
from pathlib import Path

import numpy as np
import torch

from anabranch.archive import read_archive
from anabranch.coding import Container, IntegerModel, encode_array
from anabranch.coding.pixels import information

HERE = Path(__file__).parent
NAMES = ("grey", "colour", "bits")


def model_of(name: str, carrier: torch.dtype = torch.float32) -> IntegerModel:
    tree = read_archive(HERE / f"{name}.safetensors", "model")
    return IntegerModel.from_state(tree["integer"], carrier)


def failures() -> list[str]:
    """The ways of decoding, and of coding again, that gave other bytes."""
    found, threads = [], torch.get_num_threads()
    for name in NAMES:
        array = np.load(HERE / f"{name}.npy")
        content = (HERE / f"{name}.anb").read_bytes()
        ways = [(torch.float32, 1), (torch.float64, 1)]
        for carrier, n in ways + [(torch.float32, 2)] * (name == NAMES[0]):
            torch.set_num_threads(n)
            model = model_of(name, carrier)
            container = Container(io.BytesIO(content))
            parts = [container.read(block, model) for block in container.blocks]
            same = np.concatenate(parts).tobytes() == array.tobytes()
            flat = array.reshape(len(array), -1)
            alone = information(model, flat[:1])[0] == information(model, flat)[0]
            if not (same and alone and encode_array(array, model, verify=False) == content):
                found.append(f"{name} {carrier} {n} threads")
    torch.set_num_threads(threads)
    return found


if __name__ == "__main__":
    capability = torch.backends.cpu.get_cpu_capability()
    print(json.dumps({"capability": capability, "failures": failures()}))
