"""`python -m evolve`."""

import contextlib
import os
import sys
import threading

from evolve.cli import main

code = main()
if any(t is not threading.main_thread() and not t.daemon for t in threading.enumerate()):
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # everything is written and closed; an operator that still waits for an answer is not waited for
sys.exit(code)
