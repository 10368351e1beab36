"""Many tests at once: Holm's correction, and the diagram of critical differences. Needs the extra `benchmarks`.

scikit-posthocs brings statsmodels, whose Holm is used; both are heavy and imported only here, when they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.comparison.fronts import Floats
from evolve.config import ConfigError

TASKS, METHODS = 5, 4  # a diagram of critical differences with fewer would say nothing (Demsar 2006)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979) in the order given. Raises `ConfigError` if statsmodels is missing."""
    if not p_values:
        return []
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise _missing(error) from error
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def draw_critical_differences(axes: Any, methods: Sequence[str], values: Floats, colour: str) -> None:
    """Average ranks on a line; a bar joins those that Nemenyi's test does not tell apart at 5 %.

    `values`: tasks by methods, more is better. Raises `ConfigError` if scikit-posthocs is missing.
    """
    try:
        import scikit_posthocs
    except ImportError as error:
        raise _missing(error) from error
    from benchmarks.comparison.ranks import average_ranks

    apart = scikit_posthocs.posthoc_nemenyi_friedman(values)
    apart.index = apart.columns = list(methods)
    ranks = dict(zip(methods, average_ranks(values).tolist(), strict=True))
    scikit_posthocs.critical_difference_diagram(
        ranks,
        apart,
        ax=axes,
        crossbar_props={"color": colour},
        color_palette=[colour] * len(methods),
    )


def _missing(error: ImportError) -> ConfigError:
    cure = "pip install -c constraints.txt -e '.[benchmarks]'"
    return ConfigError(f"tests with Holm's correction need scikit-posthocs ({error}): {cure}")
