"""The margin problem and its closed form, where not every pair was compared."""

from ntkbound.studies.study import Study
from ntkbound.theorems.next_token.statement import KQ_GAP, QP_CLOSED, QP_KKT, QP_NORM

STUDY = Study(
    title="Closed form of the margin problem",
    question="How far is Proposition 2's closed form from the solution where pairs are missing?",
    reading="keep is the share of pairs trained on; with all of them the closed form is exact.",
    theorem="next-token",
    axis="keep",
    arms=("V",),
    measured=(QP_CLOSED, QP_NORM, QP_KKT, KQ_GAP),
)
