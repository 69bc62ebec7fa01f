"""Typed client for Blockstitch. Two classes have helpers; `models` has every shape of the API."""

from .async_blockstitch import AsyncBlockstitch
from .batch import DocumentResult
from .blockstitch import Blockstitch
from .errors import BlockstitchError, UnexpectedAnswer
from .events import JobChange
from .generated import models
from .generated.models import *
from .generated.types import UNSET, Unset

__all__ = [
    "UNSET",
    "AsyncBlockstitch",
    "Blockstitch",
    "BlockstitchError",
    "DocumentResult",
    "JobChange",
    "UnexpectedAnswer",
    "Unset",
    "models",
]
__all__ += models.__all__
