"""Lossless compression: integer models, an entropy coder, and the files they write."""

from anabranch.coding.compression import Written as Written
from anabranch.coding.compression import compress as compress
from anabranch.coding.compression import decode_array as decode_array
from anabranch.coding.compression import decompress as decompress
from anabranch.coding.compression import encode_array as encode_array
from anabranch.coding.container import CompressedFileError as CompressedFileError
from anabranch.coding.container import Container as Container
from anabranch.coding.describing import describe_file as describe_file
from anabranch.coding.describing import file_components as file_components
from anabranch.coding.describing import is_compressed as is_compressed
from anabranch.coding.freeze import freeze as freeze
from anabranch.coding.integer_linear import IntegerLinear as IntegerLinear
from anabranch.coding.integer_model import IntegerModel as IntegerModel
from anabranch.coding.pixels import component_information as component_information
from anabranch.coding.pixels import decode_pixels as decode_pixels
from anabranch.coding.pixels import encode_pixels as encode_pixels
from anabranch.coding.pixels import information as information
from anabranch.coding.rans import DamagedCodeError as DamagedCodeError
from anabranch.coding.sources import ArraySource as ArraySource
from anabranch.coding.sources import open_source as open_source
