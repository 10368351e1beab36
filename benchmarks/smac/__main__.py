"""Makes the environment of SMAC3, some 300 MB from the package index.

python -m benchmarks.smac DIR
EVOLVE_SMAC=DIR/bin/python python -m benchmarks run --methods smac ...
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.smac.draws import PYTHON

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.smac", description="Makes the environment of SMAC3.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    directory = parser.parse_args().directory.absolute()
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS])
    if done.returncode == 0:
        print(f"{PYTHON}={python}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
