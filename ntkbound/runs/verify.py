"""A record's numbers again: by the theorem's independent path, or by repeating the run."""

from __future__ import annotations

from collections.abc import Iterator

from ntkbound.core.errors import InputError
from ntkbound.core.outcome import Comparison
from ntkbound.core.record import Record
from ntkbound.core.registry import find
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools


def verify(record: Record) -> list[Comparison]:
    """Every recomputable number of the record.

    Raises InputError where the record does not hold what is needed, and where its data changed.
    """
    theorem = find(record.theorem)
    return list(_repeated(record)) if theorem.verify is None else theorem.verify(record)


def _repeated(record: Record) -> Iterator[Comparison]:
    theorem = find(record.theorem)
    prepared = theorem.prepare(theorem.configure(record.config))
    if prepared.digest != record.data_sha256:
        raise InputError(f"{record.id}: the data that it was made from have changed")
    outcome = theorem.run(prepared.config, Tools(Workers(1), data=prepared.data, save=False))
    for term, probes in outcome.terms.items():
        for probe, statistics in probes.items():
            for statistic, value in statistics.items():
                recorded = record.terms[term][probe][statistic]
                yield Comparison(f"{term} / {probe} / {statistic}", recorded, float(value))
