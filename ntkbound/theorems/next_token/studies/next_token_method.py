"""Normalised descent against plain and adaptive descent, and the laws D2 and D3."""

from ntkbound.studies.study import Study
from ntkbound.theorems.next_token.statement import FLOOR_RATIO, KQ_GAP, LOSS, RATE_RATIO

STUDY = Study(
    title="How to descend",
    question="What does the normalised gradient gain over the gradient, and what does T0 set?",
    reading="1 − cos of W_kq at the end, by method and step size; the loss over its floor against "
    "the law e^(−ηt/‖W_kq*‖), and the floor against its own law in T0.",
    theorem="next-token",
    axis="tau",
    arms=("method", "eta", "T0"),
    measured=(KQ_GAP, LOSS, RATE_RATIO, FLOOR_RATIO),
)
