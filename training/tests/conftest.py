"""Puts the package and the fixture scripts on the path, wherever pytest is started, and makes the teacher that many tests share."""

import sys
from pathlib import Path

import pytest

TRAINING = Path(__file__).parents[1]
sys.path[:0] = [str(TRAINING), str(TRAINING / "fixtures")]


@pytest.fixture(scope="session")
def teacher(tmp_path_factory) -> Path:
    from tiny_checkpoints import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("teacher"))
