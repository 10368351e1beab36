"""Exchange of the class of the token embedding for one that does more than look up, with the same interface.

As a subclass it is initialised, tied, counted and optimised wherever the script did that with the embedding.
"""

from __future__ import annotations

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import insert_definition, replace, statement, text
from operators.catalogue._model import embeddings, model


def with_embedding_class(module: cst.Module, code: str) -> cst.Module:
    """The script with the class in `code` for its token embedding; `Embedding` stands for the class so far.

    Raises Refused if the token embedding is not constructed from a size and a width alone.
    """
    role = model(module)
    constructor = embeddings(role)[role.tokens]
    if len(constructor.args) != 2:
        raise Refused(f"the token embedding `{role.tokens}` is not constructed from a size and a width alone")
    cls = cst.ensure_type(statement(code.strip().replace("(Embedding)", f"({text(constructor.func)})")), cst.ClassDef)
    module = replace(module, constructor.func, cst.Name(cls.name.value))
    return insert_definition(module, text(cls) + "\n", before=role.name)
