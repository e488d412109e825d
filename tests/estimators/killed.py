"""A fit under torchrun of which a process kills itself once; started again, it goes on."""

import os
import signal
import sys
import warnings
from pathlib import Path

import torch.distributed as dist

from anabranch import FlowDensity, FlowMixture
from anabranch.archive import fingerprint
from anabranch.training.batches import Batches
from tests.estimators.data import FLOW
from tests.estimators.launched import rows

KINDS = {
    "mixture": lambda **more: FlowMixture(2, flow=FLOW, **more),
    "density": lambda **more: FlowDensity(FLOW, **more),
}
STEPS = 12


def dying(taken):
    """Take batches, until the second process is killed in the middle of an epoch."""
    take, steps = Batches.take, []

    def counted(self):
        steps.append(1)
        if len(steps) == STEPS and dist.get_rank() == 1 and not taken.exists():
            taken.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return take(self)

    Batches.take = counted


def main(folder, kind, killed):
    """Fit with a checkpoint, and leave what it ended with."""
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    if killed == "killed":
        dying(Path(folder) / "taken")
    options = {"checkpoint": str(Path(folder) / "checkpoint"), "checkpoint_steps": 2}
    model = KINDS[kind](max_epochs=6, batch_size=64, fit_options=options, random_state=0)
    model.fit(rows(), resume=True)
    if dist.get_rank() == 0:
        told = f"{fingerprint(dict(model.model_.state_dict()))} {model.fit_result_.steps}"
        (Path(folder) / "hash").write_text(told, encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
