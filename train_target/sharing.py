"""Who else uses a device, told from the box that trains on it by the numbers of their processes.

A driver names processes by number, with the memory that each holds. Not everywhere: in some containers it names none,
or by the numbers of the host. So a box is told from others once it was seen among those that are named; until then
whatever is taken counts as the box's, unless there are several who may be it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from devices import Device, User

FOREIGN_MB = 512  # of a device's memory in the hands of others that are borne besides what they had before
DRIVER_MB = 1024  # that a driver may keep for itself on a device that nobody uses


@dataclass
class Sharing:
    """Those who use one device besides the boxes of this process.

    `beside` says who was there when a trial began, "" for nobody; they hold `beside_mb`. `visit` says who came during
    it and was there at two looks, which voids it: at one, it may be a process of the box that has just ended.
    """

    device: Device
    beside: str = ""
    beside_mb: float = 0.0
    visit: str = ""
    _before: dict[int, float] = field(default_factory=dict)  # MiB by process
    _suspects: set[int] = field(default_factory=set)  # at the last look
    _told_apart: bool = False  # whether a box was ever among those that the driver names

    def begin(self, users: Sequence[User], in_use_mb: float) -> None:
        """Nothing of this process runs on the device now, of which so much is in use."""
        self._before = {user.pid: user.memory_mb for user in users}
        self.beside, self.beside_mb, self.visit, self._suspects = "", 0.0, "", set()
        if users or in_use_mb > DRIVER_MB:
            self.beside_mb = max(in_use_mb, sum(self._before.values()))
            self.beside = f"others hold {self.beside_mb:,.0f} MiB of {self._place}: {named(users)}"

    def taken(self, users: Sequence[User], box: Collection[int]) -> float:
        """MiB that others took since, as far as that can be told, of all who use the device now; notes a visit.

        `box` are the processes of the box.
        """
        others = [user for user in users if user.pid not in box]
        new = [user for user in others if user.pid not in self._before]
        self._told_apart = self._told_apart or len(others) < len(users)
        if not self._told_apart:
            if len(met := self._again(new)) > 1:
                self.visit = f"it cannot be told which of those who use {self._place} is the trial's box: {named(met)}"
            return 0.0
        grown = [user for user in others if not user.memory_mb or self._growth(user) > 0]
        met = self._again(grown)
        if (growth := sum(map(self._growth, met))) > FOREIGN_MB:
            self.visit = f"another user took {growth:,.0f} MiB of {self._place}: {named(met)}"
        elif unknown := [user for user in met if user in new and not user.memory_mb]:
            self.visit = f"another user took memory of {self._place}, it is not told how much: {named(unknown)}"
        return sum(map(self._growth, grown))

    def _again(self, suspects: Sequence[User]) -> list[User]:
        """Those of them who were among the suspects at the last look."""
        met = [user for user in suspects if user.pid in self._suspects]
        self._suspects = {user.pid for user in suspects}
        return met

    def _growth(self, user: User) -> float:
        return max(0.0, user.memory_mb - self._before.get(user.pid, 0.0))

    @property
    def _place(self) -> str:
        return f"{self.device.name} (GPU {self.device.index})"


def named(users: Sequence[User]) -> str:
    """Who it is, in words."""
    return ", ".join(map(str, users)) or "a process that the driver does not name"
