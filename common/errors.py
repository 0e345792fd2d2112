"""Errors that are meant for a person to read, and the exit statuses of every command."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit status of a command or a worker."""

    DONE = 0
    FAILED = 1
    """A cell failed, a promise is broken, or something is missing."""
    USER_ERROR = 2
    """The input is wrong; one line on standard error says what and where."""
    HUNG = 75
    """A cell hung beyond its time limit, and its process was ended."""
    INTERRUPTED = 130
    """It was asked to stop; the same command continues."""


class UserError(ValueError):
    """Something that the user gave is wrong; the message is one line that says what and where."""


class FileError(UserError):
    """A file is missing, damaged, or of another kind than expected."""


class MissingError(FileError):
    """A file does not exist."""


class AccessError(FileError):
    """This user may not read a file; nothing is known about its content."""


class StorageError(UserError):
    """A file or folder cannot be written: the disk is full, for example, or the folder is read-only."""


def one_line(error: BaseException) -> str:
    """An error's message on one line."""
    return " ".join(str(error).split())
