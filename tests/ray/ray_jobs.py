"""A dataset scored by actors of Ray, one of which kills itself once: a program of its own."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

import anabranch.ray
from anabranch.ray import scoring


class Dying(scoring._Actor):
    """An actor that is killed on the way to an answer, the first time."""

    def __call__(self, batch):
        mark = Path(os.environ["MARK"])
        if 5000 in np.asarray(batch["id"]) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def main(model, data, out):
    """Score all rows to a folder."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    scoring._Actor = Dying
    rows = ray.data.read_parquet(data)
    told = anabranch.ray.score(rows, model, keys=["id"], outputs=["log_prob"], batch_size=1000)
    told.write_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
