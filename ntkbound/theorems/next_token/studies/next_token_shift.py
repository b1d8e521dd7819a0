"""Unseen sentences against the length of stage 2."""

from ntkbound.studies.study import Study
from ntkbound.theorems.next_token.statement import SHIFT, UNSEEN

STUDY = Study(
    title="Sentences never seen",
    question="From which step on does the order decide what follows a sentence never seen?",
    reading="Accuracy and the median probability of the right next token, by what the sentence "
    "holds: a token that wins (O), tokens that lose (N), tokens in no pair with the query (M). "
    "Two of M tie; nothing is claimed of them.",
    theorem="next-token",
    axis="tau",
    measured=tuple(quantity for name in UNSEEN for quantity in SHIFT[name][:2]),
)
