"""A Python file of the user's own: named, read, executed once, and carried to workers by content.

Executing a file is the user's decision: only what was ``name``d on this command line is loaded, or
what a worker was handed with its task. A path that merely stands in a record is never executed.

Files beside it may be imported at its top, as of a script. They are read by this module, too, so
that the digest is of exactly what was executed, and a worker elsewhere needs no disk of ours; one
that is imported later, inside a function, is refused.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from traceback import FrameSummary, extract_tb
from types import FrameType, ModuleType
from typing import Any

from pydantic import ValidationError

from ntkbound.core.config import cause, first
from ntkbound.core.errors import InputError

SUFFIX = ".py"
LONGEST = 10_000_000  # bytes of one file

Read = Callable[[str], bytes | None]  # of a path relative to the folder; None where there is none


class UserCodeError(InputError):
    """Code of the user's own raised; the message says what, in which file and line. The cause is
    the exception itself, for those who want its traceback."""


@dataclass(frozen=True, eq=False)
class UserFile:
    """A file that was executed: where it lies, its module, and every file read for it, relative to
    its folder, with its content."""

    path: Path
    files: Mapping[str, bytes]
    module: ModuleType = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the file, and with files that it imports, of all theirs by name."""
        each = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}
        if len(each) == 1:
            return each[self.path.name]
        return hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()

    def attribute(self, name: str, what: str) -> Any:
        """What the file defines under this name. Raises InputError where it does not."""
        try:
            return getattr(self.module, name)
        except AttributeError:
            raise InputError(f"{self.path.name} defines no {name}, {what}") from None

    def holds(self, frame: FrameSummary) -> bool:
        """Whether a frame is of its code."""
        return self.is_of(frame.filename)

    def is_of(self, filename: str) -> bool:
        """Whether this is one of the files that were executed."""
        return any(filename == str(self.path.parent / name) for name in self.files)


_named: set[Path] = set()
_carried: dict[Path, Mapping[str, bytes]] = {}
_loaded: dict[Path, UserFile] = {}


def is_python(reference: str) -> bool:
    """Whether a reference is a Python file: ``FILE.py``, or ``FILE.py:NAME``."""
    return split(reference)[0].endswith(SUFFIX)


def split(reference: str) -> tuple[str, str]:
    """``FILE.py:NAME`` as both; no name where none is given."""
    head, colon, name = reference.rpartition(":")
    return (head, name) if colon and head.endswith(SUFFIX) else (reference, "")


def name(reference: str | Path, folder: Path | None = None) -> Path:
    """The user named this file: it may be executed from now on. Its absolute path; a relative one
    is of ``folder``, or of the current one."""
    path = ((folder or Path()) / reference).absolute()
    _named.add(path)
    return path


def load(path: Path) -> UserFile:
    """Executes a file that was named, once, and gives what it became.

    Raises InputError for one that was not named or cannot be read, and UserCodeError for what it
    raises, with file and line.
    """
    path = _as_named(path.absolute())
    if path in _loaded:
        return _loaded[path]
    read: Read
    if path in _carried:
        read = _carried[path].get
    elif path in _named:
        read = _from_disk(path.parent)
    else:
        told = "was not named on this command line (--code FILE.py), so it is not executed"
        raise InputError(f"{path} {told}")
    _loaded[path] = found = _execute(path, read)
    return found


def _as_named(path: Path) -> Path:
    """The file itself if it was named, else a named one of the same file name: that of a record may
    lie elsewhere by now (its digest tells whether it is the same)."""
    if path in _named or path in _carried:
        return path
    return next((one for one in sorted(_named) if one.name == path.name), path)


def carried(paths: Sequence[Path]) -> dict[str, dict[str, bytes]]:
    """What a worker needs of these files: path → relative path → content."""
    return {str(path.absolute()): dict(load(path).files) for path in paths}


def carry(files: Mapping[str, Mapping[str, bytes]]) -> None:
    """In a worker: the files that came with a task, instead of whatever lies on its disk."""
    for name, contents in files.items():
        path = Path(name)
        if path in _loaded and dict(_loaded[path].files) != dict(contents):
            del _loaded[path]
        _carried[path] = contents


def raised(error: BaseException) -> UserCodeError | None:
    """What the user's own code raised, as a line with the place; None where it is in no frame."""
    if isinstance(error, UserCodeError):
        return error
    frames = extract_tb(error.__traceback__)
    held = [one for one in _loaded.values() if any(map(one.holds, frames))]
    if not held:
        return None
    found = UserCodeError(told(error, lambda frame: any(one.holds(frame) for one in held)))
    found.__cause__ = error
    return found


def told(error: BaseException, ours: Callable[[FrameSummary], bool], default: str = "") -> str:
    """In one line what was raised, and in which file and line of ours; a SyntaxError names both
    itself. default: the file where neither does."""
    frames = [frame for frame in extract_tb(error.__traceback__) if ours(frame)]
    text, file, line = str(error), default, None
    if isinstance(error, SyntaxError):
        text, file, line = error.msg, error.filename or default, error.lineno
    elif frames:
        file, line = frames[-1].filename, frames[-1].lineno
    if isinstance(error, ValidationError):  # of pydantic: several lines, with addresses
        text = ": ".join(filter(None, first(error)))
    place = f"{Path(file).name}{'' if line is None else f', line {line}'}: " if file else ""
    return " ".join(f"{place}{type(error).__name__}: {text}".split()).removesuffix(":")


def _execute(path: Path, read: Read) -> UserFile:
    content = read(path.name)
    if content is None:
        raise InputError(f"{path}: no such file")
    files: dict[str, bytes] = {path.name: content}
    module = ModuleType(f"ntkbound_user_{hashlib.sha256(bytes(path)).hexdigest()[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pydantic look their module up
    found = UserFile(path, files, module)
    if _LATE not in sys.meta_path:
        sys.meta_path.insert(0, _LATE)
    try:
        with chdir("."), _siblings(path, read, files):  # relative paths mean the same after it
            exec(compile(content, str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever its code raises
        raise UserCodeError(told(error, found.holds, path.name)) from error
    return found


def _from_disk(folder: Path) -> Read:
    def read(relative: str) -> bytes | None:
        path = folder / relative
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > LONGEST:
                raise InputError(f"{path}: longer than {LONGEST} bytes")
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({cause(error)})") from None

    return read


@contextmanager
def _siblings(path: Path, read: Read, files: dict[str, bytes]) -> Iterator[None]:
    """Imports of files beside it, for as long as the file is executed.

    They are forgotten by name afterwards: another file may have others of the same names.
    """
    finder = _Finder(path, read, files)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for module in finder.found:
            sys.modules.pop(module, None)


class _Finder(MetaPathFinder, Loader):
    """Modules and packages beside a file; what it reads is noted in ``files``."""

    def __init__(self, path: Path, read: Read, files: dict[str, bytes]) -> None:
        self.own, self.folder, self.read, self.files = path.name, path.parent, read, files
        self.found: dict[str, tuple[str, bytes]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent = fullname.rpartition(".")[0]
        if parent and parent not in self.found:
            return None
        for relative, package in _places(fullname):
            # Its own name is another's: a file torch.py that imports torch means the installed one.
            content = None if relative == self.own else self.read(relative)
            if content is not None:
                self.found[fullname] = (relative, content)
                self.files[relative] = content
                origin = str(self.folder / relative)
                return ModuleSpec(fullname, self, origin=origin, is_package=package)
        return None

    def exec_module(self, module: ModuleType) -> None:
        relative, content = self.found[module.__name__]
        module.__file__ = str(self.folder / relative)
        exec(compile(content, module.__file__, "exec"), module.__dict__)


class _Late(MetaPathFinder):
    """Refuses what code of the user's imports from beside it after it was executed: that would be
    no part of its digest, and a worker would not have it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        asking = _importing()
        for one in _loaded.values():
            if asking and one.is_of(asking):
                for relative, _ in _places(fullname):
                    if relative in one.files or (one.path.parent / relative).is_file():
                        told = f"import {relative} at the top of {one.path.name}, not later"
                        raise ImportError(f"{told}: it is part of its digest")


_LATE = _Late()


def _places(module: str) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """Where a module may stand, relative to a folder, and whether it is a package there."""
    stem = module.replace(".", "/")
    return (f"{stem}/__init__{SUFFIX}", True), (f"{stem}{SUFFIX}", False)


def _importing() -> str:
    """The file whose code asks for an import; empty where it is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name != __file__ and "importlib" not in name:
            return name
        frame = frame.f_back
    return ""
