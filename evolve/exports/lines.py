"""Everything that a run has recorded as JSON Lines: one event a line, in the order in which it was written.

Nothing of ours is needed to read it. Each line is an object with `seq` (ascending), `at` (ISO 8601, UTC), `kind`, `key`
(unique in the run) and `body`, an object whose fields depend on the kind:

* `run`: settings, objectives, rungs, target. `session`: a process began: its judge, device, versions, slots, limits.
* `genome`: a program's text, `source`, with its knobs. Others refer to it by its `id`, which this export adds.
* `ask`: a child is wanted: `index` (its future id), operator, parents, the common ancestor `base`.
* `question`, `reply`: what a language model was asked, and what it answered, with tokens and USD.
* `brought`, `learned`: a person's program; what was tried elsewhere.
* `proposal`: what the operator of `ask` made: genome, edits, hypothesis, or why not (`rejected`).
* `start`: which knobs of `owner` are tuned, at which rungs. `trial`: trial `n` of `owner` begins: genome, params,
  budget, rung, seed, purpose. `outcome`: its status, metrics, charged seconds, what its probes found; `final` is false
  where the machine spoiled it. `withdrawn`: it was taken back. `answer`: whether `owner` went on, and its loss there.
* `tell`: a candidate is finished: verdict, params, effect, fitness (`mean`, standard error `sem`, `n` by objective).
* `quarantine`: a proven violation, and who is out of the search for it. `stop`: why the process ended.

The last line has the kind `front`: `ids` of the front that follows from all this, best loss first.
"""

from __future__ import annotations

import json
from typing import Any

from evolve.exports.recorded import Recorded, moment
from evolve.model import digest
from evolve.store import Event


def events_jsonl(recorded: Recorded) -> str:
    """The lines as text; only ASCII, so no character of a program can be mistaken for the end of one."""
    last = recorded.events[-1]
    ids = [member.id for member in recorded.history.front]
    front = Event(last.seq + 1, "front", "front", last.at, {"ids": ids})
    return "".join(json.dumps(_line(event)) + "\n" for event in [*recorded.events, front])


def _line(event: Event) -> dict[str, Any]:
    named = {"id": digest(event.body["source"])} if event.kind == "genome" else {}
    body = named | event.body
    return {"seq": event.seq, "at": moment(event.at), "kind": event.kind, "key": event.key, "body": body}
