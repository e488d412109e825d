"""A model as a service: scores and samples over HTTP."""

from anabranch.serve.service import Limits as Limits
from anabranch.serve.service import make_app as make_app
