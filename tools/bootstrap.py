"""Put everything in place that this checkout needs: `python3 tools/bootstrap.py`.

Runs on any Python from 3.8 with nothing installed, as often as one likes: what is in place is left
alone, what an interrupted run left half done is done again. This file keeps to syntax that every
Python reads, so that a wrong one gets a sentence instead of a syntax error.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # any Python

if sys.version_info < (3, 8):  # noqa: UP036  # this is what says so
    sys.exit(
        "set-up: this is Python %d.%d, too old: run it with Python 3.8 or newer "  # noqa: UP031
        "(make PYTHON=/path/to/python3)" % sys.version_info[:2]
    )

if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    from tools.setup import main

    sys.exit(main(sys.argv[1:], os.environ, ROOT))
