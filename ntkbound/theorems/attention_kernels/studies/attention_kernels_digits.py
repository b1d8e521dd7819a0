"""Handwritten digits in place of the tasks of Figures 2 and 3."""

from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.attention_kernels.curves import classifier, series
from ntkbound.theorems.attention_kernels.statement import ACCURACY, IMAGE_LOSS


def curves(evidence: Evidence) -> Judgement:
    """Test accuracy and training loss against the step, over seeds, by optimizer."""
    panels = []
    for optimizer in sorted({str(one.config["optimizer"]) for one in evidence.complete}):
        runs = [one for one in evidence.complete if one.config["optimizer"] == optimizer]
        longest = max(one.config["steps"] for one in runs)
        runs = [one for one in runs if one.config["steps"] == longest]
        panels += [
            series(runs, quantity, f"{optimizer}: {told}", classifier)
            for quantity, told in ((ACCURACY, "test accuracy"), (IMAGE_LOSS, "training loss"))
        ]
    return Judgement(panels=panels)


STUDY = Study(
    title="Digits",
    question="Which kernel learns images faster, and does that depend on optimizer and start?",
    reading="Test accuracy and training loss at the end, and against the step, medians over seeds "
    "with the smallest and the largest. sq below 1 makes queries and keys smaller at the start.",
    theorem="attention-kernels",
    axis="steps",
    arms=classifier,
    measured=(ACCURACY, IMAGE_LOSS),
    judge=curves,
)
