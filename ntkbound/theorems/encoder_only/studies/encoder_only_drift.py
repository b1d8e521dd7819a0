"""How far kernel and weights move against the width: is training lazy, and in what?"""

from ntkbound.studies.study import Study
from ntkbound.theorems.encoder_only.curves import arm
from ntkbound.theorems.encoder_only.statement import DRIFT, KERNEL_MOVED, LOSS_RATIO, STEP

STUDY = Study(
    title="Movement of kernel and weights",
    question="Do kernel and weights stay nearer to their start at larger widths?",
    reading="‖ΔW‖/‖W_0‖ of every block after the last step, and 1 − cos of the kernels at both "
    "ends. Lazy is what falls with dm; w_O of LeCun and He starts at norm 1.",
    theorem="encoder-only",
    axis="dm",
    arms=arm,
    measured=(
        KERNEL_MOVED,
        *(DRIFT[b]["relative"] for b in ("O", "V", "Q", "K")),
        LOSS_RATIO,
        STEP,
    ),
)
