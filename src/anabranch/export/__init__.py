"""Models as programs that need no anabranch: torch.export and ONNX."""

from anabranch.export.programs import program_of as program_of
from anabranch.export.writing import Exported as Exported
from anabranch.export.writing import export_model as export_model
