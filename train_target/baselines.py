"""The losses of the count models on the rows that scripts are scored on, computed once for a corpus and a scale."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from corpus import unwritable
from counts import bits_per_byte
from scoring import choose_rows
from texts import Scale, Texts


def load(texts: Texts, scale: Scale, say: Callable[[str], None]) -> dict[str, float]:
    """Bits per byte of the unigram, bigram and trigram model; {} where tokens are not bytes."""
    if scale.tokenizer != "bytes":
        return {}
    path = texts.corpus.folder / f"baselines-{scale.max_seq_len}-{scale.eval_tokens}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    say("counting bytes for the count models")
    rows = choose_rows(texts.split("val"), scale.max_seq_len, scale.eval_tokens // scale.max_seq_len, texts.key)
    losses = {name: round(loss, 4) for name, loss in bits_per_byte(texts.corpus.text("train"), rows).items()}
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        draft.write_text(json.dumps(losses))
        draft.rename(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    return losses
