"""Every construction of the theorem: which kernel reaches which floor, from which D on."""

from ntkbound.core.record import Record
from ntkbound.studies.study import Evidence, Judgement, Study
from ntkbound.theorems.attention_kernels.curves import arm, kernel, losses, successes
from ntkbound.theorems.attention_kernels.statement import (
    ATTAINABLE,
    FEASIBLE,
    LOSS,
    PL,
    RANK,
    REACHED,
    RELATIVE,
    SUCCESS,
    TRAP,
)


def figures(evidence: Evidence) -> Judgement:
    """Success against D, the spread of values and the student's scale, floors dashed."""

    def chosen(**fields: object) -> list[Record]:
        return [
            one for one in evidence.complete
            if all(one.config[name] == value for name, value in fields.items())
        ]  # fmt: skip

    def heads(record: Record) -> str:
        return f"{kernel(record)}, H {record.config['H']}"

    everything = chosen(train="QKV", labels="random", so=1.0, landscape=False)
    near, equal = chosen(labels="near", sq=1.0), chosen(labels="equal")
    panels = [
        successes(everything, "D", "all weights, random labels", heads),
        successes(near, "D", "W_Q alone, labels near", kernel),
        successes(equal, "epsilon", "W_Q alone, near-equal values", kernel),
        losses(equal, "epsilon", "W_Q alone, near-equal values: f_T", kernel),
        successes(chosen(labels="teacher"), "student", "W_Q alone, teacher", kernel),
    ]
    return Judgement(panels=[panel for panel in panels if panel.lines])


STUDY = Study(
    title="Softmax against Gaussian attention",
    question="What does each kernel reach from which weights, and what could it reach at all?",
    reading="Shares of runs whose loss fell below f_0/1000, bars of Clopper and Pearson; dashed, "
    "the share whose labels are feasible: below its floor no W_Q and W_K bring the loss.",
    theorem="attention-kernels",
    axis="D",
    arms=arm,
    measured=(SUCCESS, LOSS, REACHED, TRAP, ATTAINABLE, FEASIBLE, RELATIVE, RANK,
              PL["trajectory"][0]),
    judge=figures,
)  # fmt: skip
