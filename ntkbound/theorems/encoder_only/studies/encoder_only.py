"""Loss, weights and kernel along training: Figures 2, 3, 5 and 9."""

from collections.abc import Callable

from ntkbound.core.record import Record
from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.encoder_only.curves import arm, lines, moved
from ntkbound.theorems.encoder_only.statement import (
    DRIFT,
    KERNEL_MOVED,
    LOSS_RATIO,
    RATE_OVER_ALPHA,
    RATIO_MIN,
    STEP,
)

LOSS, KERNEL = LOSS_RATIO.key.column, "kernel/trajectory/distance"


def _of_widths(record: Record) -> bool:
    config = record.config
    return bool(config["step"] == "fixed" and config["init"] == "lecun")


def _of_initialisations(record: Record) -> bool:
    return bool(record.config["step"] == "fixed" and record.config["scaling"] == "half")


def _of_vectors(record: Record) -> bool:
    return 1 in (record.config["ds"], record.config["d"])


def figures(evidence: Evidence) -> Judgement:
    """Medians over the runs of each arm, with the smallest and the largest seed."""

    def chosen(which: Callable[[Record], bool]) -> list[Record]:
        return [record for record in evidence.complete if which(record)]

    widths, vectors = chosen(_of_widths), chosen(_of_vectors)
    found = [
        lines(widths, LOSS, "Figure 2: ℓ_t/ℓ_0"),
        moved(widths, "Figure 2: ‖θ_{t+1} − θ_t‖"),
        lines(widths, KERNEL, "Figure 9: 1 − cos(K_0, K_t)"),
        lines(chosen(_of_initialisations), LOSS, "Figure 5: ℓ_t/ℓ_0"),
        lines(vectors, LOSS, "Figure 3: ℓ_t/ℓ_0"),
    ]
    return Judgement(panels=[panel for panel in found if panel.lines])


STUDY = Study(
    title="Encoder-only Transformer",
    question="Does training converge linearly at every width, scaling and initialisation, and how "
    "far does the kernel go?",
    reading="Full-batch descent at γ = 1 unless told otherwise, lines by initialisation, scaling "
    "and width: loss over its start, length of a step, distance of the tangent kernel to its "
    "start. ds = 1 with d = 100 is a two-layer net: the softmax of one token is 1.",
    theorem="encoder-only",
    axis="dm",
    arms=arm,
    measured=(LOSS_RATIO, STEP, RATE_OVER_ALPHA, RATIO_MIN, KERNEL_MOVED, DRIFT["O"]["relative"]),
    judge=figures,
)
