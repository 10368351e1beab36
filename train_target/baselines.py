"""The losses of the count models on the rows that scripts are scored on.

A search has those of the validation text, computed once for a corpus and a scale; the final report has all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable

from corpus import unwritable
from counts import bits_per_byte
from texts import SEARCHED, Scale, Texts, evaluation_rows


def count(texts: Texts, scale: Scale, labels: Iterable[str]) -> dict[str, dict[str, float]]:
    """Bits per byte of the unigram, bigram and trigram model on each of these texts that exists; tokens are bytes."""
    train = texts.corpus.text("train")
    return {
        label: {name: round(loss, 4) for name, loss in bits_per_byte(train, rows).items()}
        for label, rows in evaluation_rows(texts, scale, labels).items()
    }


def load(texts: Texts, scale: Scale, say: Callable[[str], None]) -> dict[str, float]:
    """What `count` finds on the validation text, from the cache if it is there; {} where tokens are not bytes."""
    if scale.tokenizer != "bytes":
        return {}
    path = texts.corpus.folder / f"baselines-{scale.max_seq_len}-{scale.eval_tokens}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    say("counting bytes for the count models")
    losses = count(texts, scale, SEARCHED).get("val", {})
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps(losses))
        draft.rename(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return losses
