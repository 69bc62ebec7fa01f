"""From a parsed command line to the dataclass that a task takes."""

from __future__ import annotations

import argparse
from dataclasses import fields


def given(options: argparse.Namespace, kind: type):
    """The options as a dataclass whose fields have their names."""
    return kind(**{each.name: getattr(options, each.name) for each in fields(kind)})
