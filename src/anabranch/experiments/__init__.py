"""Every table and figure that is reproduced, each a function that returns figures.

Example:
    >>> from anabranch.experiments import Figure, Outcome, Run
    >>> def coin(run: Run) -> Outcome:
    ...     return Outcome([Figure("heads", 0.5, target=0.4, better="higher")], {"flips": 2})
    >>> coin(Run(seeds=(0, 1))).figures[0].met
    True
"""

from anabranch.experiments.outcome import Figure as Figure
from anabranch.experiments.outcome import Outcome as Outcome
from anabranch.experiments.outcome import Run as Run
from anabranch.experiments.registry import Experiment as Experiment
from anabranch.experiments.registry import experiment as experiment
from anabranch.experiments.registry import list_experiments as list_experiments
from anabranch.experiments.registry import run_experiment as run_experiment
from anabranch.experiments.results import write_result as write_result
from anabranch.experiments.seeded import Rows as Rows
from anabranch.experiments.seeded import joined as joined
from anabranch.experiments.seeded import per_seed as per_seed
from anabranch.experiments.seeded import table_of_means as table_of_means
from anabranch.experiments.tables import contingency_text as contingency_text
from anabranch.experiments.tables import text_table as text_table
