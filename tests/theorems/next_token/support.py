"""A run of the theorem without disk, and the same model written needlessly differently."""

from __future__ import annotations

import numpy as np

from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.tasks import prepare
from ntkbound.theorems.next_token.trained import train


def trained(**fields):
    prepared = prepare(Config(**fields))
    return train(prepared.config, prepared.data, lambda *_: None)


def plain_loss(sentences, W_ov, W_kq):
    """Σ π (logsumexp z − z_y) with one softmax over positions, repeated tokens and all."""
    total = 0.0
    for share, sentence, target in zip(
        sentences.share, sentences.inputs, sentences.targets, strict=True
    ):
        scores = np.array([W_kq[token, sentence[-1]] for token in sentence])
        attention = np.exp(scores - scores.max())
        attention /= attention.sum()
        z = sum(a * W_ov[:, token] for a, token in zip(attention, sentence, strict=True))
        total += share * (np.log(np.exp(z - z.max()).sum()) + z.max() - z[target])
    return total
