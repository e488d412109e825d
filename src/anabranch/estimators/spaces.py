"""Estimators whose columns may be angles and places, which lie in spaces of their own."""

from anabranch.estimators.estimator import Estimator
from anabranch.procedures.product_preparation import Layout, ProductPreparation


class Spaces(Estimator):
    """What is asked of columns, where some of them may be angles or places."""

    @property
    def layout(self) -> Layout | None:
        """How the columns lie in spaces, where some are angles or places; else None."""
        preparation = vars(self).get("preparation_")
        return preparation.layout if isinstance(preparation, ProductPreparation) else None

    @property
    def model_features(self) -> int:
        """How many numbers its density sees."""
        return super().model_features if self.layout is None else self.layout.features
