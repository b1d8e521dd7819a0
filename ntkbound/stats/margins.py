"""Every threshold of the verdicts, with the error rate it stands for.

Rates are those of docs/calibration.md (repeat it after changing a number here): false alarms of a
check of 15 true claims stay below 1 %, a slope 0.15 too flat is found in at least 95 % of trials at
6 points, 5 seeds and 10 % noise when seeds share one slope.
"""

CONFIDENCE = 0.95
"""Level of every interval. Student's t over seeds: covers 94–96 % in 2,000 trials per setting."""

VIOLATION_MARGIN = 0.05
"""A claim is violated beyond this many units of exponent, never by finite-size curvature below."""

RATE_MARGIN = 0.15
"""Acceptance: `holds` needs an interval that excludes every rate worse than the claim by this,
`tight` on both sides. One-sided at (1 − `CONFIDENCE`)/2 = 2.5 %, with seeds as the sampling unit:
a slope 0.15 off is accepted in at most 2.7 % of trials, whatever the noise and the seeds.
The verdict prints it."""

LOG_MARGIN = 0.10
"""The same where a power of a logarithm is claimed, whose slope on any grid is small."""

EXPONENTIAL_MARGIN = 0.10
"""The same for an exponential, as a share of the claimed rate."""

FRACTION_MARGIN = 0.2
"""The same for a share of runs: Clopper–Pearson excludes shares worse than the claim by this."""

RARELY = 0.2
"""Equal values in all n runs have no spread to test by. Where they contradict a claim, the claim
counts as true only if such runs are at most this share of all: p = `RARELY`^n."""

STEP_BINS = 12
"""The steps inside a run are averaged over as many equal parts of the axis: oscillation and noise
of neighbouring steps, which are correlated, must not count as evidence."""

CHECK_LEVEL = 0.01
"""Chance that one check of true claims reports any `violated` (Holm over its claims), and,
separately, any `bound-violated`."""

CHECK_POOLING_LEVEL = 0.005
ENOUGH_DF = 24
"""Residuals are pooled over seeds only where the F-tests of all claims of the check together
(Fisher's sum) do not find at this level that slopes vary between seeds. With `ENOUGH_DF` degrees
of freedom between seeds that test sees a standard deviation of 0.13; below, it sees little."""

POOLING_LEVEL = 0.005
POOLED_SEED_LEVEL = 0.05
"""… nor the claim's own F-test at the first level, and the seeds' own t-test agrees at the second.
Larger and smaller, respectively, lose power: each costs what it says."""

LONE_POOLING_LEVEL = 0.02
LONE_SEED_LEVEL = 0.02
LONE_SEED_LEVEL_FEW = 0.005
FEW_SEEDS = 5
"""The same two in a check below `ENOUGH_DF` (the stricter one below `FEW_SEEDS` seeds)."""

BEND_LEVEL = 0.02
"""One-sided level at which a curve bends towards the claim: it is then not violated if it ends
there, or has closed half of its gap. Straight lines lose so much power, so not larger."""

LATE_LEVEL = 0.05
"""One-sided level at which the last third of a line must refute a claim, too, for a violation by
slopes of seeds alone."""

END_LEVEL = 0.35
"""… nor is it violated while the slope at the end of the range (best parabola) is not above the
claim at this level: noise that hides a bend hides this, too. Smaller would cost power: a slope 0.15
too flat loses 0.3 % at 6 points × 5 seeds × 10 % noise."""

HETEROGENEITY_LEVEL = 0.01
"""Floor form: each seed gets its own floor when an F-test at this level finds that floors differ
relative to the amplitude. A shared floor then covers only 50–90 %; both ways it is 93–97 %."""

AICC_MARGIN = 6.0
"""The other form counts as preferred when its AICc is lower by more than this. Without a margin
a true pure power law is doubted in up to 6.5 % of fits (60 % of checks of 15), with it in 0.6 %."""

FORM_MARGIN = 0.05
"""… and when it moves the local slope at the end of the range by more than this: a difference
that small is inside every other margin."""

MIN_SEEDS = 3
MIN_POINTS = 3
MIN_POINTS_FLOOR = 4
"""Fewer are `inconclusive`: a·x^b + c through three points leaves no residual."""

FLOOR_EXPONENT_LIMIT = 4.0
"""Exponents of the floor form are searched in ± this; an interval reaching it is unbounded."""

LOOK_FACTOR = 1.5
"""A check that adds seeds until it is decided looks again after about so many times as many."""

MAX_MORE_SEEDS = 50
"""Above this many missing seeds the advice is a wider range instead."""
