"""Settings of estimators found by held-out log-density (extra ``tune``)."""

from anabranch.tuning.search import Tuned as Tuned
from anabranch.tuning.search import Tuner as Tuner
from anabranch.tuning.space import Range as Range
