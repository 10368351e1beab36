"""The statistics of the benchmark on runs and numbers whose answer is known."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.comparison import anytime, fronts, posthocs
from benchmarks.comparison.hypotheses import Hypothesis, read_hypotheses
from benchmarks.comparison.outcome import CONFIRMED_LOSS, CONFIRMED_TEST_LOSS, CONFIRMED_VOLUME, LOSS, VOLUME, measured
from benchmarks.comparison.paired import difference, interval, wilcoxon
from benchmarks.comparison.ranks import average_ranks, friedman
from benchmarks.comparison.statistics import Comparison, compare
from benchmarks.comparison.tables import tables
from benchmarks.comparison.trace import Retrained, Trace
from evolve.config import ConfigError
from tests.benchmarks.made_up import BUDGET, TOTAL, Axis, Problem, again, failed, point, search, trace

POSTHOCS = importlib.util.find_spec("scikit_posthocs") is not None
needs_posthocs = pytest.mark.skipif(not POSTHOCS, reason="needs the extra benchmarks: scikit-posthocs is not installed")
TOY = Problem()
E = float(np.e)


def test_hypervolume_is_the_area_to_the_reference_point_of_the_task_with_seconds_in_log() -> None:
    one, other = point(10, 3.0, BUDGET / E), point(20, 2.0, BUDGET / E**0.5)
    points = [p for p in (fronts.point_of(x.values, TOY) for x in (one, other)) if p]
    assert fronts.hypervolume(points, TOY) == pytest.approx(1 * 1 + 1 * 0.5)
    assert fronts.hypervolume([(4.5, 0.0), (2.0, float(np.log(BUDGET)))], TOY) == 0.0
    assert fronts.hypervolume([], TOY) == 0.0


def test_more_is_better_where_the_task_says_so() -> None:
    axes = (Axis("accuracy", "maximize"), Axis("seconds", log=True))
    task = Problem("digits", axes, {"accuracy": 0.5, "seconds": 8.0}, {"accuracy": 0.5, "seconds": 8.0})
    at = fronts.point_of({"accuracy": 0.9, "seconds": 8.0 / E}, task)
    assert at is not None and fronts.hypervolume([at], task) == pytest.approx(0.4)
    assert fronts.values_of(at, task) == pytest.approx({"accuracy": 0.9, "seconds": 8.0 / E})


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_a_point_without_a_usable_objective_is_none(value: float | None) -> None:
    assert fronts.point_of({"val_bpb": 3.0, "seconds_to_target": value} if value is not None else {}, TOY) is None


def test_a_reference_point_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="reference point of task toy"):
        fronts.corner(replace(TOY, reference={"val_bpb": 4.0, "seconds_to_target": 0.0}))


def test_a_curve_steps_at_confirmed_points_only_and_begins_with_the_seed_program() -> None:
    points = [failed(50), point(100, 3.5, BUDGET), point(150, 1.0, 1.0, confirmed=False), point(400, 3.7, BUDGET)]
    found = anytime.loss_steps(trace([*points, point(500, 3.0, BUDGET / E), point(TOTAL + 1, 1.0, 1.0)]), TOY)
    assert found.times.tolist() == [0, 100, 500] and found.values.tolist() == [4.0, 3.5, 3.0]
    assert found.at(np.array([0, 99.9, 100, 499, 500, TOTAL])).tolist() == [4.0, 4.0, 3.5, 3.5, 3.0, 3.0]
    assert found.mean(TOTAL) == pytest.approx(0.1 * 4.0 + 0.4 * 3.5 + 0.5 * 3.0)


def test_the_hypervolume_of_a_curve_never_falls_and_ends_with_that_of_the_front() -> None:
    run = search("ours", 2.5, 3)
    found = anytime.hypervolume_steps(run, TOY)
    assert np.all(np.diff(found.values) > 0) and found.times[0] == found.values[0] == 0
    assert found.values[-1] == pytest.approx(fronts.hypervolume(anytime.claimed_front(run, TOY), TOY))


def test_curves_of_unequal_lengths_have_a_median_with_a_band_that_holds_it() -> None:
    runs = [trace([point(100.0 * (i + 1), 3.0 + i / 10, 4.0)] * (i + 1), seed=i) for i in range(5)]
    found = anytime.band([anytime.loss_steps(run, TOY) for run in runs], np.array([50.0, 350.0, TOTAL]))
    assert found.median.tolist() == pytest.approx([4.0, 3.2, 3.2])
    assert found.low is not None and found.high is not None
    assert np.all(found.low <= found.median) and np.all(found.median <= found.high)
    assert found.low[0] == found.high[0] == 4.0 and found.low[1] < 3.2 < found.high[1]
    alone = anytime.band([anytime.loss_steps(runs[0], TOY)], np.array([50.0]))
    assert alone.low is None and alone.high is None


def test_a_run_without_a_front_counts_in_the_attainment_surfaces() -> None:
    good = (3.0, float(np.log(BUDGET)) - 1)
    found = fronts.attainment([[good], [good], [], []], TOY)
    assert found[25].tolist() == [[*good]] and found[50].tolist() == [[*good]]
    assert found[75].tolist() == [[*fronts.corner(TOY)]]


def test_a_front_is_at_no_distance_from_itself() -> None:
    pooled = [(2.0, 1.0), (3.0, 0.5)]
    assert fronts.distance(pooled, pooled, TOY) == (0.0, 0.0)
    assert fronts.distance([(2.5, 1.5)], [(2.0, 1.0)], TOY) == (pytest.approx(np.hypot(0.5, 0.5)), 0.5)
    assert fronts.distance([], pooled, TOY)[1] == pytest.approx(max(2.0, float(np.log(BUDGET)) - 0.5))


def test_a_front_is_filtered_again_on_fresh_seeds_which_choose_nothing() -> None:
    points = [point(100, 2.0, 4.0, "lucky"), point(200, 2.1, 3.0, "steady"), point(TOTAL + 5, 1.0, 1.0, "late")]
    fresh = [
        again("lucky", [2.5, 2.7], [4.0, 4.2], test_bpb=[2.8, 3.0]),
        again("steady", [2.1, 2.3], [3.0, 3.0], test_bpb=[2.2, 2.4]),
        again("late", [1.0, 1.0], [1.0, 1.0], test_bpb=[1.0, 1.0]),
    ]
    found = measured(trace(points, fresh), TOY)
    assert len(found.claimed) == 2 and found.retrained == 2
    assert found.confirmed == [pytest.approx((2.2, np.log(3.0)))]
    assert found.values[CONFIRMED_VOLUME] == pytest.approx(1.8 * np.log(BUDGET / 3.0))
    assert found.values[LOSS] == 2.0 and found.values[CONFIRMED_LOSS] == pytest.approx(2.6)
    assert found.values[CONFIRMED_TEST_LOSS] == pytest.approx(2.9)


def test_a_member_that_misses_the_target_on_a_fresh_seed_is_not_confirmed() -> None:
    found = measured(trace([point(100, 2.0, 4.0, "a")], [again("a", [2.0, 2.2], [4.0, float("nan")])]), TOY)
    assert found.confirmed == [] and found.values[CONFIRMED_VOLUME] == 0.0
    assert found.values[CONFIRMED_LOSS] == pytest.approx(2.1)


def test_what_was_claimed_and_not_trained_again_is_not_confirmed_as_anything() -> None:
    found = measured(trace([point(100, 2.0, 4.0)]), TOY)
    assert found.confirmed is None and CONFIRMED_VOLUME not in found.values and CONFIRMED_LOSS not in found.values


def test_a_best_claim_that_fails_a_fresh_training_counts_as_the_next_one_that_holds() -> None:
    points = [point(9, 4.1, 8.0, "0"), point(100, 2.0, 4.0, "lucky"), point(200, 2.1, 3.0, "steady")]
    seed, steady = again("0", [4.2, 4.0], [8.0], test_bpb=[4.4]), again("steady", [2.4, 2.2], [3.0], test_bpb=[2.5])
    found = measured(trace(points, [seed, Retrained("lucky", {}), steady]), TOY)
    assert not found.held and found.retrained == 3
    assert (found.values[CONFIRMED_LOSS], found.values[CONFIRMED_TEST_LOSS]) == (pytest.approx(2.3), 2.5)
    assert found.values[CONFIRMED_VOLUME] == pytest.approx(1.7 * np.log(BUDGET / 3.0))
    partly = replace(steady, metrics={"val_bpb": [2.4, float("nan")]})
    none = measured(trace(points, [seed, Retrained("lucky", {}), partly]), TOY)
    assert (none.values[CONFIRMED_LOSS], none.values[CONFIRMED_TEST_LOSS]) == (pytest.approx(4.1), 4.4), (
        "the seed program's"
    )
    assert none.values[CONFIRMED_VOLUME] == 0.0
    alone = measured(trace(points[1:], [Retrained("lucky", {})]), TOY)
    assert alone.values[CONFIRMED_LOSS] == TOY.seed["val_bpb"]


def test_a_member_that_was_told_after_the_total_is_not_handed_over() -> None:
    points = [point(100, 2.0, 4.0, "lucky"), point(TOTAL + 5, 1.0, 1.0, "late")]
    found = measured(trace(points, [Retrained("lucky", {}), again("late", [1.0], [1.0])]), TOY)
    assert found.values[CONFIRMED_LOSS] == TOY.seed["val_bpb"] and found.retrained == 1


@needs_posthocs
def test_a_claim_that_fails_takes_no_pair_away_and_pays_nobody() -> None:
    runs = [search(method, level, s) for method, level in (("ours", 2.4), ("tpe", 2.6)) for s in range(8)]
    whole = compare(runs, [TOY], "ours", [planned("tpe")]).tests[0]
    for method, sign in (("ours", -1), ("tpe", 1)):
        cut = [replace(r, retrained=(Retrained(r.retrained[0].candidate, {}),)) for r in runs if r.method == method][:1]
        rest = [r for r in runs if (r.method, r.seed) != (method, 0)]
        test = compare([*cut, *rest], [TOY], "ours", [planned("tpe")]).tests[0]
        assert test.pairs == 8 and test.p is not None and test.difference and whole.difference
        assert sign * (test.difference.mean - whole.difference.mean) > 0.1


@pytest.mark.parametrize("points", [[], [failed(10), failed(20)]])
def test_a_run_without_a_front_hands_over_the_seed_program(points: list) -> None:
    found = measured(trace(points), TOY)
    assert found.values == {VOLUME: 0, LOSS: 4.0, "hypervolume_area": 0, CONFIRMED_VOLUME: 0, CONFIRMED_LOSS: 4.0}


def test_ranks_share_ties_and_the_best_is_first() -> None:
    values = np.array([[3.0, 2.0, 2.0], [1.0, 5.0, 0.0]])
    assert average_ranks(values).tolist() == [1.5, 1.75, 2.75]


def test_friedman_tells_methods_apart_and_says_nothing_where_there_is_nothing_to_say() -> None:
    better = np.random.default_rng(1).normal(size=(10, 3)) + [0, 2, 4]
    assert (friedman(better) or 1) < 0.001
    assert friedman(np.ones((5, 3))) is None
    assert friedman(better[:, :2]) is None and friedman(better[:1]) is None


def compared(seeds: dict[str, range]) -> Comparison:
    return compare([search(m, 2.5, s) for m, its in seeds.items() for s in its], [TOY], "ours", [])


def ranked(seeds: dict[str, range]) -> list[tuple[list[str], list[int]]]:
    return [(sorted(r.methods), r.seeds) for r in compared(seeds).ranks]


@needs_posthocs
def test_a_method_with_other_seeds_takes_no_block_from_the_ranks_of_the_rest() -> None:
    seeds = {"ours": range(6), "tpe": range(5), "greedy": range(5), "smac": range(5, 9)}
    assert ranked(seeds) == 2 * [(["greedy", "ours", "tpe"], [*range(5)])]
    note = next(table.note for table in tables(compared(seeds)) if table.name == "ranks")
    assert "over 5 blocks" in note and "seeds 0-4" in note and "Without smac, which" in note


@needs_posthocs
def test_ranks_are_with_ours_and_of_many_methods_rather_than_of_many_seeds() -> None:
    others = {f"p{n}": range(100, 104) for n in range(6)}
    assert ranked({"ours": range(3), "tpe": range(3)} | others) == 2 * [(["ours", "tpe"], [0, 1, 2])]
    few = {f"p{n}": range(5) for n in range(6)}
    assert ranked({"ours": range(40), "tpe": range(40)} | few) == 2 * [(sorted(["ours", "tpe", *few]), [*range(5)])]


@needs_posthocs
def test_ranks_are_of_all_tasks_or_there_are_none() -> None:
    both = [TOY, Problem("other")]
    runs = [search(m, 2.5, s, task) for task in ("toy", "other") for m in ("ours", "tpe") for s in range(3)]
    assert [r.blocks for r in compare(runs, both, "ours", []).ranks] == [6, 6]
    apart = [search("ours", 2.5, 0, "other"), search("tpe", 2.5, 1, "other")]
    assert not compare([r for r in runs if r.task == "toy"] + apart, both, "ours", []).ranks


def test_a_difference_is_that_of_the_pairs_and_has_the_sign_of_who_is_ahead() -> None:
    found = difference([3.0, 4.0, 5.0, 6.0], [2.0, 3.5, 5.0, 6.5])
    assert (found.pairs, found.ahead, found.equal, found.behind) == (4, 2, 1, 1)
    assert found.mean == pytest.approx(0.25) and found.low is not None and found.low < 0.25 < (found.high or 0)
    assert difference([2.0, 3.0], [0.0, 1.0]).delta == 1.0 and difference([0.0, 1.0], [2.0, 3.0]).delta == -1.0
    assert difference([1.0, 2.0], [1.0, 2.0]).delta == 0.0


def test_an_interval_is_none_for_one_value_and_has_no_width_for_equal_ones() -> None:
    assert interval([1.0]) == (None, None) and interval([2.0] * 5) == (2.0, 2.0)
    low, high = interval([1.0, 2.0])
    assert low == 1.0 and high == 2.0
    low, high = interval([0.0, 0.0, 0.0, 1.0])
    assert low is not None and high is not None and 0.0 <= low < high <= 1.0


def test_wilcoxon_is_the_exact_one() -> None:
    assert wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5) == pytest.approx(2 / 2**5)  # the smallest of five pairs
    assert wilcoxon(list(range(1, 11)), [0.0] * 10) == pytest.approx(2 / 2**10)
    assert wilcoxon([1.0, 2.0], [1.0, 2.0]) == 1.0


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(2)
    signed = np.array([wilcoxon(*rng.normal(size=(2, 10))) for _ in range(600)])
    ranked = np.array([friedman(rng.normal(size=(12, 4))) for _ in range(300)], dtype=float)
    for found in (signed, ranked):
        for level in (0.05, 0.2, 0.5, 0.8):
            error = np.sqrt(level * (1 - level) / len(found))
            assert np.mean(found <= level) == pytest.approx(level, abs=3.5 * error + 0.01)


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    bounds = [interval(rng.normal(1.0, 1.0, 10).tolist()) for _ in range(120)]
    held = np.mean([low <= 1.0 <= high for low, high in bounds if low is not None and high is not None])
    assert 0.85 <= held <= 0.99


@needs_posthocs
def test_holm_is_that_of_r() -> None:
    assert posthocs.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert posthocs.holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert posthocs.holm([]) == []


def test_without_the_extra_holm_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.stats.multitest", None)
    with pytest.raises(ConfigError, match=r"scikit-posthocs .*pip install .*\[benchmarks\]"):
        posthocs.holm([0.01])
    assert posthocs.holm([]) == []


def planned(against: str, measure: str = CONFIRMED_LOSS, seeds: int = 8) -> Hypothesis:
    return Hypothesis("toy", "ours", against, measure, tuple(range(seeds)))


@needs_posthocs
def test_a_known_effect_is_found_with_its_size_and_a_tie_is_not() -> None:
    levels = {"ours": 2.4, "worse": 2.6, "alike": 2.4, "better": 2.2}
    runs = [search(method, level, seed) for method, level in levels.items() for seed in range(8)]
    hypotheses = [planned(m, measure) for m in ("worse", "alike", "better") for measure in (CONFIRMED_LOSS, LOSS)]
    found = compare(runs, [TOY], "ours", hypotheses)
    verdicts = [test.verdict for test in found.tests]
    assert verdicts == ["better"] * 2 + ["no difference shown"] * 2 + ["worse"] * 2
    assert [t.difference.mean if t.difference else 0 for t in found.tests] == pytest.approx(
        [0.2, 0.2, 0, 0, -0.2, -0.2], abs=0.04
    )
    assert found.ranks[0].methods == ["ours", "alike", "better", "worse"]
    assert found.ranks[0].by_share[1.0] == pytest.approx([2.5, 2.5, 1, 4], abs=0.3)


@needs_posthocs
def test_a_gain_on_validation_text_that_test_text_does_not_show_is_none() -> None:
    def overfitted(run: Trace) -> Trace:
        return replace(run, retrained=tuple(replace(m, metrics=m.metrics | {"test_bpb": [3.0]}) for m in run.retrained))

    runs = [overfitted(search(method, level, s)) for method, level in (("ours", 2.4), ("tpe", 2.8)) for s in range(8)]
    tests = compare(runs, [TOY], "ours", [planned("tpe", m) for m in (CONFIRMED_LOSS, CONFIRMED_TEST_LOSS)]).tests
    assert [(test.verdict, test.pairs) for test in tests] == [("better", 8), ("no difference shown", 8)]


@needs_posthocs
def test_identical_runs_are_no_difference() -> None:
    runs = [replace(search("twin", 2.5, seed), method=method) for method in ("ours", "twin") for seed in range(8)]
    (test,) = compare(runs, [TOY], "ours", [planned("twin")]).tests
    assert test.p == test.adjusted == 1.0 and test.verdict == "no difference shown"
    assert test.difference and (test.difference.mean, test.difference.equal, test.difference.low) == (0.0, 8, 0.0)


@needs_posthocs
def test_a_test_that_lacks_pairs_is_not_made_and_still_counts_in_holm() -> None:
    runs = [search("ours", 2.0, s) for s in range(8)] + [search("tpe", 3.0, s) for s in range(8)]
    runs += [search("late", 3.0, s) for s in range(7)]
    done, waiting, nowhere = compare(runs, [TOY], "ours", [planned(m) for m in ("tpe", "late", "nobody")]).tests
    assert done.p == pytest.approx(2 / 2**8) and done.adjusted == pytest.approx(3 * 2 / 2**8)
    assert (waiting.p, waiting.verdict) == (None, "not tested: 7 of 8 pairs")
    assert nowhere.verdict == "not tested: 0 of 8 pairs"


@needs_posthocs
def test_seeds_that_were_not_planned_are_in_no_number() -> None:
    """Who looks at ten seeds and adds three gets the test of the ten."""
    runs = [search(method, level, s) for method, level in (("ours", 2.4), ("tpe", 2.5)) for s in range(8)]
    alone = compare(runs, [TOY], "ours", [planned("tpe")])
    added = [search(method, level, s) for method, level in (("ours", 1.5), ("tpe", 3.9)) for s in (20, 21, 22)]
    found = compare([*added, *runs], [TOY], "ours", [planned("tpe")])
    assert found.tests == alone.tests and found.tests[0].pairs == 8
    assert found.tasks[0].differences == alone.tasks[0].differences and found.ranks == alone.ranks
    assert found.left_out == added and alone.left_out == []
    late = compare([*runs[:7], *runs[8:], *added], [TOY], "ours", [planned("tpe")])
    assert late.tests[0].verdict == "not tested: 7 of 8 pairs", "others do not stand in for it"


@needs_posthocs
def test_each_hypothesis_has_its_own_seeds() -> None:
    runs = [search(method, level, s) for method, level in (("ours", 2.4), ("tpe", 2.5)) for s in range(8)]
    hypotheses = [replace(planned("tpe"), seeds=seeds) for seeds in ((0, 1, 2, 3, 4), (3, 4, 5, 6, 7))]
    found = compare(runs, [TOY], "ours", hypotheses)
    assert [test.pairs for test in found.tests] == [5, 5] and len(found.tasks[0].runs["ours"]) == 8
    assert found.tests[0].difference != found.tests[1].difference


def test_regret_is_0_for_the_best_run_and_1_for_the_seed_program() -> None:
    runs = [trace([point(9, 2.0, 2.0)], method="ours"), trace([point(9, 3.0, 4.0)], method="b"), trace([], method="c")]
    (task,) = compare(runs, [TOY], "ours").tasks
    assert [task.regret(method, LOSS) for method in ("ours", "b", "c")] == [{0: 0.0}, {0: 0.5}, {0: 1.0}]
    assert task.regret("c", VOLUME) == {0: 1.0} and task.regret("ours", VOLUME) == {0: 0.0}
    (nothing,) = compare([trace([])], [TOY], "ours").tasks
    assert nothing.regret("ours", LOSS) is None and nothing.regret("ours", VOLUME) is None


def test_regret_is_1_for_the_seed_program_also_where_it_is_better_than_the_reference_point() -> None:
    """As in all real tasks, whose reference point is 1.1 times what the seed program has."""
    task = replace(TOY, reference={name: 1.1 * value for name, value in TOY.seed.items()})
    found = point(9, 2.0, 2.0, "1")
    only_seed = [point(5, 4.0, BUDGET, "0")], [again("0", [4.0], [BUDGET])]
    runs = [
        trace([*only_seed[0], found], [*only_seed[1], again("1", [2.0], [2.0])], method="ours"),
        trace(*only_seed, method="nothing"),
        trace([point(5, 4.2, BUDGET, "0")], method="unlucky"),
    ]
    (summary,) = compare(runs, [task], "ours").tasks
    for measure in (VOLUME, CONFIRMED_VOLUME, LOSS, CONFIRMED_LOSS):
        assert summary.regret("nothing", measure) == {0: pytest.approx(1.0)}, measure
        assert summary.regret("ours", measure) == {0: 0.0}, measure
    assert summary.values("nothing", VOLUME)[0] > 0 and (summary.regret("unlucky", VOLUME) or {})[0] > 1
    (nothing,) = compare(runs[1:], [task], "nothing").tasks
    assert nothing.regret("nothing", VOLUME) is None


def test_a_single_seed_has_numbers_and_no_interval() -> None:
    found = compare([search("ours", 2.0, 0), search("tpe", 3.0, 0)], [TOY], "ours")
    told = found.tasks[0].differences["tpe"][LOSS]
    assert told.pairs == 1 and told.mean > 0.5 and (told.low, told.high) == (None, None)
    assert found.ranks[0].friedman[1.0] is None


def test_pairs_are_the_seeds_that_both_have() -> None:
    runs = [search("ours", 2.0, seed) for seed in (0, 1, 2)] + [search("tpe", 3.0, seed) for seed in (1, 2, 3)]
    found = compare(runs, [TOY], "ours")
    assert found.tasks[0].differences["tpe"][LOSS].pairs == 2 and found.ranks[0].blocks == 2


def test_runs_of_which_none_was_planned_are_told() -> None:
    with pytest.raises(ConfigError, match="the runs have the seeds 1-2, 9, and the hypotheses name others"):
        compare([trace([], seed=seed) for seed in (1, 2, 9)], [TOY], "ours", [replace(planned("tpe"), seeds=(11,))])


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], "no finished run"),
        ([trace([]), trace([])], "two runs of ours on toy with seed 0"),
        ([trace([]), trace([], total=5.0, seed=1)], r"different totals \(5, 1000 s\)"),
        ([trace([], task="moon")], "task moon, which there is not"),
        ([trace([], method="tpe")], "--ours must be one of tpe"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_with_the_cause(runs: list, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        compare(runs, [TOY], "ours")


PRIMARY = """[[primary]]
task = "toy"
method = "ours"
against = ["tpe", "greedy"]
measures = ["confirmed_loss"]
seeds = "11-13"
"""


def test_hypotheses_are_read_from_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "hypotheses.toml"
    path.write_text(PRIMARY)
    assert read_hypotheses(path) == [
        Hypothesis("toy", "ours", against, CONFIRMED_LOSS, (11, 12, 13)) for against in ("tpe", "greedy")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = [", "is not TOML"),
        ("", "holds no hypothesis"),
        (PRIMARY.replace('seeds = "11-13"', ""), "each .*must have task, method, against, measures, seeds"),
        (PRIMARY.replace("confirmed_loss", "luck"), "unknown measure luck; there are confirmed_hypervolume"),
        (PRIMARY.replace('"11-13"', "10"), "seeds must be str"),
        (PRIMARY.replace("11-13", "13-11"), "hypotheses.toml: no seeds: '13-11'"),
        (PRIMARY.replace('["tpe", "greedy"]', "[1]"), "against must be a list of names"),
    ],
)
def test_a_bad_file_of_hypotheses_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "hypotheses.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_hypotheses(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_hypotheses(tmp_path / "none.toml")
