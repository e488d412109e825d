"""Write the golden files again: python -m tests.coding.golden.make, which only a new version needs.

They are what a file of this version has to decode to on every machine and for ever.
"""

from pathlib import Path

import numpy as np
import torch

from anabranch.archive import write_archive
from anabranch.coding import encode_array, freeze
from tests.coding.models import drawn_model, images

HERE = Path(__file__).parent
KINDS = {"grey": ((8, 8), 256), "colour": ((4, 5, 3), 256), "bits": ((6, 6), 2)}


def main() -> None:
    for name, (shape, levels) in KINDS.items():
        model = drawn_model(shape, levels, seed=3, n_neighbours=24, hidden=[48, 32])
        with torch.no_grad():
            model.last.weight.mul_(0.3)
        array = images(shape, levels, n=12, seed=4)
        integer = freeze(model, torch.as_tensor(array))
        write_archive(HERE / f"{name}.safetensors", "model", {"integer": integer.state()})
        np.save(HERE / f"{name}.npy", array)
        (HERE / f"{name}.anb").write_bytes(encode_array(array, integer))


if __name__ == "__main__":
    main()
