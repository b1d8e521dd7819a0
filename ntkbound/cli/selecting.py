"""``--where KEY=VALUE``: which records a command is about."""

from __future__ import annotations

from ntkbound.core.errors import InputError
from ntkbound.core.record import Record


def select(records: list[Record], conditions: list[str]) -> list[Record]:
    """Records whose config has the given values; a mapping equals a number if all blocks do."""
    for condition in conditions:
        key, value = key_and_value(condition)
        if not any(key in record.config for record in records):
            raise InputError(f"no record has the config field {key!r}", field="where")
        records = [record for record in records if _matches(record.config.get(key), value)]
        if not records:
            raise InputError("matches no record", field="where", value=condition)
    return records


def key_and_value(condition: str) -> tuple[str, str]:
    """Both sides of KEY=VALUE. Raises InputError where it is none."""
    key, separator, value = condition.partition("=")
    if not separator:
        raise InputError(f"{condition!r} is not KEY=VALUE", field="where")
    return key, value


def _matches(found: object, wanted: str) -> bool:
    if isinstance(found, dict):
        return all(_matches(number, wanted) for number in found.values())
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(wanted) == float(found)
        except ValueError:
            return False
    return str(found) == wanted
