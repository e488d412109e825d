"""A flavour of MLflow without pickle, and a tracker of fits: ``import anabranch.mlflow``."""

from anabranch.mlflow.flavour import _load_pyfunc as _load_pyfunc
from anabranch.mlflow.flavour import load_model as load_model
from anabranch.mlflow.flavour import log_model as log_model
from anabranch.mlflow.flavour import save_model as save_model
from anabranch.mlflow.tracker import MLflowTracker as MLflowTracker
