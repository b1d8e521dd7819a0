"""The same number of steps at growing vocabularies, stage 1 long enough for each."""

from ntkbound.studies.study import Study
from ntkbound.theorems.next_token.statement import EXCESS, FLOOR, KQ_GAP, LOSS, QP_NORM

STUDY = Study(
    title="Size of the vocabulary",
    question="What does a larger vocabulary cost at the same number of steps of stage 2?",
    reading="T0 = 45V, so that stage 1 ends with the margin 9/√(1 − 1/V) at every V and the floor "
    "stays small; with the paper's T0 = 900 the floor would be the loss from V = 40 on.",
    theorem="next-token",
    axis="V",
    measured=(KQ_GAP, LOSS, FLOOR, EXCESS, QP_NORM),
)
