"""Files that appear whole or not at all, folders that are named once, and one process a study."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from llem_core.errors import ConfigError, PreFlightError, StudyError
from llem_core.text import model_name, now_in_names, slug
from llem_core.units import format_bytes


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> Path:
    """Write a file so that a crash or a full disk leaves the old one, or none, in its place.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes
    the name in one step (``os.replace``); then the folder itself is flushed.

    Args:
        path: where the file shall stand; its folder must exist.
        content: all of the file, or its parts in order, which are written as they come.

    Returns:
        ``path``.

    Raises:
        OSError: the file could not be written; nothing is left behind.
    """
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            # mkstemp makes files that only their owner reads; results are ordinary files.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    _flush_folder(path.parent)
    return path


def read_file(path: Path, *, follow: bool = True) -> bytes:
    """All of an ordinary file; a pipe or a device in its place is not waited for.

    Args:
        path: the file.
        follow: whether it may be a link to one.

    Raises:
        OSError: it cannot be read, or it is no ordinary file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        return file.read()


def stays_inside(file: str) -> bool:
    """Whether a file that a manifest or a result names lies within the folder that names it.

    Anybody can edit those, and what is elsewhere is not theirs to show.
    """
    place = PurePosixPath(file)
    return not place.is_absolute() and ".." not in place.parts


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _flush_folder(folder: Path) -> None:
    # Some file systems cannot flush a folder; the file itself is safe by then.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


LOCK = ".lock"


_TAKEN = frozenset({errno.EAGAIN, errno.EACCES})
_Lock = Callable[[int, int], None]


class StudyLock:
    """Held within the block; the kernel lets go of it however the process ends.

    Args:
        directory: the study's folder, which exists.
        locks: ways to lock a file, tried in this order: a file system may have one or none.

    Attributes:
        warning: what to know of a folder whose file system has no locks at all.

    Raises:
        StudyError: another process has it; the message names that process.
    """

    def __init__(
        self, directory: Path, locks: Sequence[_Lock] = (fcntl.flock, fcntl.lockf)
    ) -> None:
        self._directory = directory
        self._locks = locks
        self._descriptor: int | None = None
        self.warning: str | None = None

    def __enter__(self) -> Self:
        path = self._directory / LOCK
        try:
            descriptor = _open_own(path)
        except OSError as error:
            raise StudyError(
                f"{path} cannot be opened: {error.strerror}; it is a file of llem's own and may "
                "be removed while no study runs."
            ) from error
        try:
            self._take(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        # The number is for people; on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def _take(self, descriptor: int) -> None:
        for lock in self._locks:
            try:
                lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _TAKEN:
                    continue  # this file system does not have it
                holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
                raise StudyError(
                    f"the study in {self._directory} is being run by another process (pid "
                    f"{holder or 'unknown'}); wait for its end, or end it and resume."
                ) from error
            return
        self.warning = (
            f"The file system of {self._directory} has no locks: nothing keeps a second process "
            "from running this study at the same time, which would spoil both."
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The file stays: to remove it would let two processes lock two files of one name.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_own(path: Path) -> int:
    """A descriptor of a file that is made if need be, and never of what a link points to.

    Raises:
        OSError: it cannot be opened, or it is no ordinary file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "it is a link") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no ordinary file")
    return descriptor


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path with ``~`` written out.

    Raises:
        ConfigError: it names a user who does not exist, or cannot be a path.
    """
    text = os.fspath(path)
    if "\0" in text:
        raise ConfigError(f"{text[:60]!r} is no path, as there is a NUL in it; correct it.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{text[:60]!r}: there is no such user's folder; correct it.") from error


def absolute(path: Path) -> Path:
    """The path from the root on, links as they are.

    Raises:
        OSError: it starts at the current folder, and there is none any more.
    """
    try:
        return path.absolute()
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "the current folder does not exist any more") from error


_LONGEST = 80


def _nearest(output: Path) -> Path:
    """The folder itself, or the first one above it that exists.

    Raises:
        OSError: one of them is a link to nothing, or there is no current folder to start from.
    """
    nearest = absolute(output)
    while not nearest.exists():
        if nearest.is_symlink():
            raise OSError(errno.ENOENT, f"{nearest} is a link to what does not exist")
        nearest = nearest.parent
    return nearest


_TRIAL_BYTES = 1 << 20


def check_writable(output: Path, needed_bytes: int = 0) -> None:
    """Find out before anything is measured whether results can be written.

    Tries a file, which is removed at once, in the folder or in the nearest one above it that
    exists; nothing is left behind.

    Args:
        output: the folder.
        needed_bytes: what will be written there, about.

    Raises:
        PreFlightError: they cannot.
    """
    try:
        nearest = _nearest(output)
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".llem-") as file:
            # A quota tells of itself only here.
            file.write(bytes(min(needed_bytes, _TRIAL_BYTES)))
            file.flush()
        free_bytes = shutil.disk_usage(nearest).free
    except OSError as error:
        raise PreFlightError(
            f"the output folder {output} cannot be written: {error.strerror}; choose another with "
            "--output."
        ) from error
    if needed_bytes > free_bytes:
        raise PreFlightError(
            f"about {format_bytes(needed_bytes)} are needed at {output}, and "
            f"{format_bytes(free_bytes)} are free; make room, or choose another folder with "
            "--output."
        )


def new_experiment_folder(output: Path, model: str, backend: str) -> Path:
    """Make ``{output}/{model}_{backend}_{timestamp}``; see ``_new_folder``."""
    return _new_folder(output, f"{slug(model_name(model), _LONGEST, 'model')}_{backend}")


def new_study_folder(output: Path, name: str) -> Path:
    """Make ``{output}/{name}_{timestamp}``; see ``_new_folder``."""
    return _new_folder(output, name)


def _new_folder(output: Path, beginning: str) -> Path:
    """Make a folder of a new name; a name taken gets ``_1``, ``_2``, …

    The timestamp is UTC. Making the folder is what takes the name, so that two processes
    never share one.

    Raises:
        OSError: it cannot be made.
    """
    name = f"{beginning}_{now_in_names()}"
    output.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = output / (f"{name}_{number}" if number else name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
