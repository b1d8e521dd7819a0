"""The packages; all else stands in pyproject.toml.

Written in Python because TOML can either find packages or name them: the top-level folders
``presets/`` and ``examples/`` travel in the wheel as ``ntkbound/presets/`` and
``ntkbound/examples/``.
"""

from setuptools import find_packages, setup

DATA = {"ntkbound.presets": "presets", "ntkbound.examples": "examples"}

setup(
    packages=[*find_packages(include=["ntkbound", "ntkbound.*"]), *DATA],
    package_dir=DATA,
)
