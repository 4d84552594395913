"""Fresh names."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid

import pytest

from undersigned.runtime.names import fresh_urn


def test_no_name_is_given_twice() -> None:
    names = [fresh_urn() for _ in range(1000)]
    assert len(set(names)) == len(names)
    for name in names:
        read = uuid.UUID(name)
        assert (read.urn, read.version, read.variant) == (name, 4, uuid.RFC_4122)


FORKED = """
import os
from undersigned.runtime.names import fresh_urn
fresh_urn()
child = os.fork()
os.write(1, f"{fresh_urn()} ".encode())
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_gives_other_names_than_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60)
    one, other = done.stdout.split()
    assert one != other
