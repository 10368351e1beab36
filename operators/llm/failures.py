"""What an error of a model's server means: ask again, a shorter prompt, the end of an operator, or of the run."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from operators.llm.wire import TooLong, Unanswered, Usage

# An error inside a stream comes with status 200; what its type would have had, 500 if not listed:
STATUS = {"invalid_request_error": 400, "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529}
FAILURES = {408: "the server timed out", 409: "conflict at the server", 429: "rate limited by the server"}

BILLING = re.compile(r"spend_limit|billing|billable|insufficient_quota")  # in the names of errors
NO_CREDIT = re.compile(r"credit balance|usage limits|spend(ing)? limit|insufficient (credit|funds|balance|quota)", re.I)
# "prompt is too long: 203284 tokens > 200000 maximum", "exceed context limit", "exceeds the available context size" …
TOO_LONG = re.compile(r"(prompt|input|request) is too long|context[ _](size|length|limit|window)", re.I)


class Again(Unanswered):
    """No answer this time. `after`: for how many seconds the server wants to be left alone, if it says so.

    `outage`: it will pass, though it may take long; `unreachable`: nothing was sent, as there is no connection.
    """

    def __init__(
        self,
        what: str,
        detail: str = "",
        *,
        usage: Usage | None = None,
        after: float | None = None,
        outage: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(f"{what}: {detail}" if detail else what, usage=usage)
        self.what = what
        self.after = after
        self.outage = outage or unreachable
        self.unreachable = unreachable


def words_of(error: Any) -> str:
    """What the server says in an error, the SDK's APIStatusError."""
    return str(error.api_message or error.body or error.message)


def refusal(error: Any, words: str, model: str, sent: str, usage: Usage | None) -> Unanswered:
    """What the SDK's APIStatusError means. `words` is its text as it may be shown, `sent` how we identified ourselves,
    `usage` what was consumed, None if it came before any answer."""
    status = error.status_code if error.status_code >= 400 else STATUS.get(str(error.type), 500)
    names = f"{error.type} {error.error_code}"
    if status == 402 or BILLING.search(names) or (status in (400, 403) and NO_CREDIT.search(words)):
        return Unanswered(f"no credit ({status}): {words}", "run", usage)
    if status in (401, 403):
        return Unanswered(f"the server does not accept {sent} ({status}): {words}", "run", usage)
    if status == 404:
        return Unanswered(f"the server does not know the model {model} (404): {words}", "operator", usage)
    if status == 413 or (status != 429 and TOO_LONG.search(f"{names} {words}")):
        return TooLong(f"the prompt is too long ({status}): {words}", usage=usage)
    again = error.response.headers.get("x-should-retry")
    if again == "true" or (again != "false" and (status in FAILURES or status >= 500)):
        what = f"{FAILURES.get(status, 'the server failed')} ({status})"
        outage = usage is None and (status in (408, 429) or status >= 500)  # what costs is not tried for long
        return Again(what, words, usage=usage, after=_asked(error.response.headers), outage=outage)
    return Unanswered(f"refused by the server ({status}): {words}", usage=usage)


def _asked(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks to wait, from the headers that the SDK knows; None if it does not say."""
    said = headers.get("retry-after", "")
    date = parsedate_tz(said)
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = mktime_tz(date) - time.time() if date else float(said)
    except ValueError:
        return None
    return seconds if seconds > 0 else None
