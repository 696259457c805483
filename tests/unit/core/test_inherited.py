from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, sys
from llem_core.inherited import mend_inherited

mend_inherited()
ends = os.pipe()
os.write(int(sys.argv[1]), b"printed by a library")
child = os.spawnl(os.P_NOWAIT, "/bin/sh", "sh", "-c", "echo by a child && exit 7")
_, status = os.waitpid(child, 0)
fit = min(ends) > 2 and os.waitstatus_to_exitcode(status) == 7
sys.exit(0 if fit else f"{ends} {status}")
"""


def test_descriptors_that_are_closed_and_children_that_are_ignored() -> None:
    shell = 'trap "" CHLD; exec <&- >&-; exec "$0" "$@"'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, "-c", PROGRAM, "1"],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
