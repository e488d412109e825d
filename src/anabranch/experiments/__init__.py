"""Every table and figure that is reproduced, each a function that returns figures.

Example:
    >>> from anabranch.experiments import Figure, Outcome, Run
    >>> def coin(run: Run) -> Outcome:
    ...     return Outcome([Figure("heads", 0.5, target=0.4, better="higher")], {"flips": 2})
    >>> coin(Run(seeds=(0, 1))).figures[0].met
    True
"""

from anabranch.experiments.outcome import Figure, Outcome, Run
from anabranch.experiments.registry import (
    Experiment,
    experiment,
    list_experiments,
    run_experiment,
)
from anabranch.experiments.results import write_result
from anabranch.experiments.seeded import Rows, joined, per_seed, table_of_means
from anabranch.experiments.tables import contingency_text, text_table

__all__ = [
    "Experiment",
    "Figure",
    "Outcome",
    "Rows",
    "Run",
    "contingency_text",
    "experiment",
    "joined",
    "list_experiments",
    "per_seed",
    "run_experiment",
    "table_of_means",
    "text_table",
    "write_result",
]
