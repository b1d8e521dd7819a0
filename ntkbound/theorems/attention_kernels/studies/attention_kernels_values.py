"""Near-equal values: where the Gaussian is ahead, and where that ends."""

from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.attention_kernels.curves import kernel, losses, successes
from ntkbound.theorems.attention_kernels.statement import ATTAINABLE, EXCESS, LOSS, REACHED, SUCCESS


def figures(evidence: Evidence) -> Judgement:
    """Success and loss against ε, floors dashed."""
    return Judgement(panels=[
        successes(evidence.complete, "epsilon", "success", kernel),
        losses(evidence.complete, "epsilon", "loss and floor", kernel),
    ])  # fmt: skip


STUDY = Study(
    title="Near-equal values",
    question="Up to which spread of the values does the Gaussian reach zero where softmax cannot?",
    reading="ε is the spread of the values around 1. Success is a loss below f_0/1000; dashed, the "
    "share of feasible labels, and the attainable floor.",
    theorem="attention-kernels",
    axis="epsilon",
    arms=("kernel",),
    measured=(SUCCESS, REACHED, LOSS, ATTAINABLE, EXCESS),
    judge=figures,
)
