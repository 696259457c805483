"""The study's process: what a user's own script would be."""

from __future__ import annotations

import json
import sys

from llenergymeasure import run_study

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    try:
        result = run_study(request["study"], output_dir=request["output"], resume=request["resume"])
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if result.status == "completed" else 1)
