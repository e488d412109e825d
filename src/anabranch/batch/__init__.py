"""Models over many rows: a scorer for batches of any engine, and jobs over folders of files."""

from anabranch.batch.job import run_job as run_job
from anabranch.batch.scorer import Scorer as Scorer
