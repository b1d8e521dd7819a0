"""A head of the user's own, as the class in a file: found, instantiated, its blocks checked.

Nothing here imports torch, so that a configuration can be resolved without. ``OwnHead`` makes a
``HeadModel`` of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntkbound.core import userfile
from ntkbound.core.errors import InputError
from ntkbound.core.userfile import UserCodeError, UserFile

OUTPUT = "c"  # the output weight, in which every head is linear
NEEDED = "a class with blocks(d) and either f(theta, X, q) or h(params, inputs)"

Blocks = dict[str, tuple[int, ...]]  # name → shape of one head's block


@dataclass(frozen=True)
class WrittenHead:
    """An instance of the user's class.

    It defines ``blocks(d)``, name → shape, and one of

    ``f(theta, X, q)``
        one head at one sample: a number, from block → tensor, X (T, d) and q (d,); the output
        weight ``c`` is added and multiplied.
    ``h(params, inputs)``
        all heads at all samples, (n, m), from block → (m, *shape), ``c`` among them, X (n, T, d)
        and q (n, d).

    and may define ``draw(block, rng, heads)`` (None: the usual draw), ``context_numbers(T, m)`` and
    ``suprema(theta, radii, B_x, B_q)``.
    """

    file: UserFile
    name: str
    head: Any

    @classmethod
    def of(cls, reference: str) -> WrittenHead:
        """Of ``FILE.py:Class``, whose file was named. Raises InputError naming the field model,
        and UserCodeError for what the class raises or lacks."""
        path, name = userfile.split(reference)
        file = userfile.load(Path(path))
        try:
            kind = file.attribute(name, NEEDED)
        except InputError as error:
            raise InputError(str(error.args[0]), field="model") from None
        if not isinstance(kind, type):
            told = f"{file.path.name}: {name} is a {type(kind).__name__}, not {NEEDED}"
            raise InputError(told, field="model")
        with _calling(file, name):
            head = kind()
        found = cls(file, name, head)
        if found.has("f") == found.has("h") or not found.has("blocks"):
            raise InputError(f"{file.path.name}: {name} is not {NEEDED}", field="model")
        return found

    @property
    def batched(self) -> bool:
        """Whether it is written for all heads and samples at once."""
        return self.has("h")

    @property
    def written(self) -> str:
        """The method that says what a head computes."""
        return "h" if self.batched else "f"

    def has(self, method: str) -> bool:
        return callable(getattr(self.head, method, None))

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method returns. Raises UserCodeError for what it raises, with file and line."""
        with _calling(self.file, self.name):
            return getattr(self.head, method)(*arguments)

    def wrong(self, method: str, told: str) -> UserCodeError:
        """A defect of what a method returns, with the line where the method stands."""
        function = getattr(self.head, method)
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        line = "" if code is None else f", line {code.co_firstlineno}"
        return UserCodeError(f"{self.file.path.name}{line}: {self.name}.{method}: {told}")

    def blocks(self, d: int) -> Blocks:
        """The blocks of one head for tokens of dimension d, ``c`` among them."""
        given = self.call("blocks", d)
        if not isinstance(given, Mapping):
            told = f"returns a {type(given).__name__}, not a mapping of block to shape"
            raise self.wrong("blocks", told)
        found = {name: self._shape(name, shape) for name, shape in given.items()}
        if self.batched and found.get(OUTPUT) != ():
            raise self.wrong("blocks", f"h needs the output weight among them: {OUTPUT!r}: ()")
        if not self.batched and OUTPUT in found:
            told = f"{OUTPUT!r} is the output weight, which is added to the blocks of f"
            raise self.wrong("blocks", told)
        if not set(found) - {OUTPUT}:
            raise self.wrong("blocks", "there is none to be trained")
        return found if self.batched else {OUTPUT: (), **found}

    def _shape(self, name: object, shape: object) -> tuple[int, ...]:
        if not (isinstance(name, str) and name.isidentifier()):
            raise self.wrong("blocks", f"{name!r} is no name: letters, digits and _ are accepted")
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        if not all(type(size) is int and size > 0 for size in sizes):
            told = f"the shape of {name} is {shape!r}, not a tuple of positive whole numbers"
            raise self.wrong("blocks", told)
        return tuple(sizes)


@contextmanager
def _calling(file: UserFile, name: str) -> Iterator[None]:
    """Whatever the class raises, as a UserCodeError; one of a call that never reached it, too."""
    try:
        yield
    except UserCodeError:
        raise
    except Exception as error:
        found = userfile.raised(error)
        told = f"{file.path.name}: {name}: {type(error).__name__}: {error}"
        raise (found or UserCodeError(" ".join(told.split()))) from error
