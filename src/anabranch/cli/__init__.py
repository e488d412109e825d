"""The command line: the script `anabranch`.

Commands import what they need when they run, so that `anabranch --help` answers at once.
"""

import os

# Threads that wait for work by spinning stop each other on a busy machine: a step then takes many
# times as long. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from anabranch.cli.app import app as app
from anabranch.cli.app import main as main
