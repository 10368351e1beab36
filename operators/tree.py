"""Programs as trees of named places, text in and text out: what operators use to read, change and compare them.

The parts live in a file each: `addresses` names places, `edits` changes them, `diff` and `merge` compare programs,
`skeleton` says when two are the same up to numbers. No syntax tree leaves the function that parsed it.
"""

from operators.addresses import FILE, EditError, addresses, read
from operators.diff import diff
from operators.edits import apply
from operators.skeleton import skeleton

__all__ = ["FILE", "EditError", "addresses", "apply", "diff", "read", "skeleton"]
