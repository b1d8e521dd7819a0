"""The packages; all else stands in pyproject.toml.

Written in Python because TOML can either find packages or name them: the top-level folder
``presets/`` travels in the wheel as ``ntkbound/presets/``.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ntkbound", "ntkbound.*"]), "ntkbound.presets"],
    package_dir={"ntkbound.presets": "presets"},
)
