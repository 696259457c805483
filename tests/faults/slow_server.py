"""The scripted server as real ones are: slow to start, and with a process of its own beside it.

``python slow_server.py NOTES SECONDS ...``: the folder for a file named by its process id, which
holds that of the other process; how long it takes to start (s); what the scripted server takes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from llem_server.testing.__main__ import main

if __name__ == "__main__":
    notes, start_s = Path(sys.argv[1]), float(sys.argv[2])
    del sys.argv[1:3]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # It heeds no SIGTERM, and leaves its parent's session.
    other = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; sleep 600; :"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    partial = notes / f".{os.getpid()}"
    partial.write_text(str(other.pid))
    partial.rename(notes / str(os.getpid()))
    print(f"slow server: this is process {os.getpid()}", flush=True)
    time.sleep(start_s)
    main()
