"""Others on a GPU: those who were there are named, those who come and go are not taken for the trial's box."""

from __future__ import annotations

import os

import pytest

from devices import Device, User
from guard import Guard
from nursery import Infrastructure
from sharing import Sharing
from tests.target.test_devices import GIB, Driver, guard

BOX, CHILD, STRANGER, OTHER = 11, 12, 700, 701
MIB = 2**20
ME = os.getpid()


def looked(watched: Guard, driver: Driver, *looks: dict[int, int]) -> list[str]:
    """What is said at looks at which processes hold so many MiB."""
    said = []
    for held in looks:
        driver.processes = [(pid, mib * MIB) for pid, mib in held.items()]
        driver.used = [sum(held.values()) * MIB]
        watched._sampled -= 10.0
        said.append(watched.sample())
    return said


def begun(driver: Driver, limit_mb: float = 0.0) -> Guard:
    """A guard at the begin of a trial whose box is two processes."""
    watched = guard(driver)
    watched.limit_mb = limit_mb
    watched.settle()
    watched.before()
    watched.box = lambda: [BOX, CHILD]
    return watched


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.SETTLED", 0.0)


def test_who_holds_memory_when_the_judge_begins_is_named_and_told_with_every_trial() -> None:
    driver = Driver()
    driver.used, driver.processes = [5 * GIB], [(ME, 4 * GIB)]
    watched = begun(driver)
    assert watched.sharing.beside.startswith(f"others hold 5,120 MiB of Big GPU (GPU 1): pid {ME} (")
    assert watched.sharing.beside.endswith(", 4,096 MiB)")
    assert watched.metrics({}, 1.0)["others_device_mb"] == 5120
    driver.used, driver.processes = [0], []
    watched.before()
    assert watched.sharing.beside == "" and "others_device_mb" not in watched.metrics({}, 1.0)


@pytest.mark.parametrize(("used", "beside"), [(700 * MIB, False), (2 * GIB, True)])
def test_what_a_driver_keeps_for_itself_is_nobody_s(used: int, beside: bool) -> None:
    driver = Driver()
    driver.used = [used]
    assert begun(driver).sharing.beside.endswith("MiB of Big GPU (GPU 1): a process that the driver does not name") == (
        beside
    )


def test_a_visitor_s_memory_is_not_the_box_s_and_voids_the_trial_but_not_the_device() -> None:
    driver = Driver()
    watched = begun(driver, limit_mb=4096)
    stays = {BOX: 2000, CHILD: 1000, STRANGER: 5000}
    first, second = looked(watched, driver, stays, stays)
    assert first == "", "before, it was out of device memory"
    why = f"another user took 5,000 MiB of Big GPU (GPU 1): pid {STRANGER} (of another container or user, 5,000 MiB)"
    assert second == why and watched.peak_mb == 3000
    looked(watched, driver, {})
    assert watched.after() == why and not watched.lost
    watched.before()
    assert watched.after() == "", "the next trial is another one"


def test_a_little_visitor_is_borne() -> None:
    driver = Driver()
    watched = begun(driver, limit_mb=4096)
    assert looked(watched, driver, *[{BOX: 3900, STRANGER: 400}] * 3) == ["", "", ""]
    looked(watched, driver, {})
    assert watched.peak_mb == 3900 and watched.after() == ""


def test_a_limit_is_one_of_the_box_s_own_memory_whoever_else_is_there() -> None:
    driver = Driver()
    watched = begun(driver, limit_mb=4096)
    (said,) = looked(watched, driver, {BOX: 4200, STRANGER: 300})
    assert said == "out of device memory: 4,200 MiB of Big GPU; the limit is 4,096 MiB"


def test_who_was_there_may_stay_and_voids_a_trial_by_growing() -> None:
    driver = Driver()
    driver.used, driver.processes = [5000 * MIB], [(STRANGER, 5000 * MIB)]
    watched = begun(driver)
    stays, grows = {BOX: 3000, STRANGER: 5000}, {BOX: 3000, STRANGER: 7000}
    assert looked(watched, driver, stays, stays) == ["", ""] and watched.peak_mb == 3000
    assert looked(watched, driver, grows, grows)[1].startswith("another user took 2,000 MiB of Big GPU")
    assert watched.peak_mb == 3000


def test_a_process_of_the_box_that_ended_between_two_questions_is_no_visitor() -> None:
    driver = Driver()
    watched = begun(driver)
    assert looked(watched, driver, {BOX: 900, 13: 2000}, {BOX: 900, 14: 2000}, {}) == ["", "", ""]
    assert watched.after() == ""


def test_where_boxes_are_not_named_their_memory_is_what_is_in_use() -> None:
    """As in a container in which the driver names nobody, or by the numbers of the host."""
    driver = Driver()
    watched = begun(driver)
    assert looked(watched, driver, {99_001: 3000}, {99_001: 3000}, {}) == ["", "", ""]
    assert watched.peak_mb == 3000 and watched.after() == ""


def test_where_a_box_is_one_of_several_who_came_and_not_named_the_trial_is_void() -> None:
    driver = Driver()
    watched = begun(driver, limit_mb=4096)
    assert "4,096" in looked(watched, driver, {99_001: 3000, 99_002: 2000})[0], "which ends it at once"
    looked(watched, driver, {99_001: 3000, 99_002: 2000})
    why = "it cannot be told which of those who use Big GPU (GPU 1) is the trial's box: pid 99001 ("
    assert watched.after().startswith(why) and not watched.lost


def test_a_visitor_whose_memory_is_not_told_voids_the_trial() -> None:
    sharing = Sharing(Device(0, "GPU-a", "Big GPU", 80_000.0))
    sharing.begin([], 0.0)
    for _ in range(2):
        assert sharing.taken([User(BOX, "python", 0.0), User(STRANGER, "python", 0.0)], [BOX]) == 0.0
    assert sharing.visit.startswith("another user took memory of Big GPU (GPU 0), it is not told how much: pid 700 (")


def test_names_of_processes_steer_no_terminal() -> None:
    assert str(User(7, "a\x1b[31mb", 1.0)) == "pid 7 (ab, 1 MiB)"


def test_a_trial_is_not_begun_while_somebody_who_came_is_there() -> None:
    driver = Driver()
    watched = begun(driver)
    driver.used, driver.processes = [3 * GIB], [(ME, 3 * GIB)]
    with pytest.raises(Infrastructure, match=rf"3,072 MiB of Big GPU are in use by others: pid {ME} \("):
        watched.before()
