"""When a run ends. Each criterion is one line; the reason is printed and stored."""

from __future__ import annotations

from evolve.config import Limits
from evolve.history import History


def generation(history: History) -> int:
    """Completed generations: `offspring` candidates each that finished at least the low rung."""
    return history.finished // int(history.header["settings"]["offspring"])


def stop_reason(history: History, limits: Limits) -> str | None:
    """The first criterion that is met, or None."""
    offspring = int(history.header["settings"]["offspring"])
    loss = history.best_loss.mean if history.best_loss else float("inf")
    stale = (history.finished - history.last_gain) // offspring
    halted = history.halted if not history.open_asks else ""
    last = f", the last one: {history.last_refusal}" if history.last_refusal else ""
    refused = history.refusals if not history.open_asks else 0  # a child under way may be the next parent
    criteria = [
        (limits.generations and generation(history) >= limits.generations, f"{limits.generations} generations done"),
        (limits.total and history.charged >= limits.total, f"{limits.total:g} charged seconds used"),
        (limits.wall and history.wall >= limits.wall, f"time limit of {limits.wall:g} s reached"),
        (limits.target_loss and loss <= limits.target_loss, f"loss {limits.target_loss:g} reached and confirmed"),
        (limits.stale_generations and stale >= limits.stale_generations, f"no confirmed gain in {stale} generations"),
        (halted, halted),
        (limits.refusals and refused >= limits.refusals, f"{refused} refusals or repeats in a row{last}"),
    ]
    return next((reason for met, reason in criteria if met), None)


def awaits_front(history: History, limits: Limits) -> bool:
    """Whether the front is not final: a child under way would enter it, and its other seeds can still be paid for."""
    used_up = (limits.total and history.charged >= limits.total) or (limits.wall and history.wall >= limits.wall)
    return not used_up and bool(history.confirming)
