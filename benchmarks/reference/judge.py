"""The judge of the seed, but that trials on a GPU begin with the compile cache of the reference, not the seed's."""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
JUDGE = HERE.parents[1] / "train_target" / "judge.py"

sys.path[0] = str(JUDGE.parent)
sys.argv += ["--seed-of", str(HERE)]
runpy.run_path(str(JUDGE), run_name="__main__")
