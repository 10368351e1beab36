"""Gives the embeddings a learning rate of their own, a multiple of the others'."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import find

IDEA = "Each row of an embedding is seen rarely, so embeddings want another learning rate than matrices."
SOURCE = "Yang et al. 2022, arXiv:2203.03466; karpathy/nanochat, setup_optimizer"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where parameter groups have learning rates of their own already."""
    groups = training.adamw(module).args[0]
    if find(groups, m.Arg(keyword=m.Name("lr") | m.Name("lr_ratio"))) or find(groups, m.SimpleString('"lr"')):
        raise Refused("some parameter groups have a learning rate of their own already")
    module = training.split_groups(module, "embeddings", training.EMBEDDINGS, "lr_ratio=EMBEDDING_LR_RATIO")
    module = training.scale_learning_rate(module, 'group.get("lr_ratio", 1.0)')
    return edit.add_constant(module, "EMBEDDING_LR_RATIO", 3.0, "knob: 0.3..30 log")
