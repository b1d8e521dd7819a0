"""How fast does gradient descent find the minimum, and how much do its seeds differ?"""

from ntkbound import Quantity, Study

STUDY = Study(
    title="Descent on least squares",
    question="How fast does gradient descent find the minimum?",
    reading="A straight line is a power of the number of steps; one that bends down is faster.",
    theorem="least-squares",  # a name, or a file beside this one: "my_theorem.py"
    axis="steps",
    arms=("d",),  # one line in the figure for each value
    measured=(Quantity("suboptimality", "final", "gap", "R − R*"),),
    presets={  # what is run at each size; claims of its own may follow as [[claim]]
        "smoke": "[sweep]\nsteps = [8, 16, 32]\nd = [5, 20]\nseed = { from = 0, to = 2 }",
        "small": "[sweep]\nsteps = [8, 16, 32, 64, 128]\nd = [5, 20]\nseed = { from = 0, to = 9 }",
    },
)
