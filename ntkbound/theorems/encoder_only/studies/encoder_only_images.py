"""Figures 4 and 7, with digits in place of MNIST."""

from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.encoder_only.curves import arm, lines
from ntkbound.theorems.encoder_only.statement import ACCURACY, IMAGE_LOSS


def along(evidence: Evidence) -> Judgement:
    """Training loss and test accuracy against the step."""
    told = ((IMAGE_LOSS, "training loss"), (ACCURACY, "test accuracy"))
    drawn = [lines(evidence.complete, q.key.column, name) for q, name in told]
    return Judgement(panels=[panel for panel in drawn if panel.lines])


STUDY = Study(
    title="Digits",
    question="Is τ0 = dm^-1 slower at large widths on images, too?",
    reading="Test accuracy and training loss at the end against dm, and both against the step.",
    theorem="encoder-only",
    axis="dm",
    arms=arm,
    measured=(ACCURACY, IMAGE_LOSS),
    judge=along,
)
