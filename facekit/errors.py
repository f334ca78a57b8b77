"""What can go wrong, each kind with its exit code.

Library code raises these and nothing else of its own; only the command line prints them and exits.
A message is one line: what is wrong, where, and what to do.
"""

from typing import ClassVar


class FacekitError(Exception):
    """Base of every error that facekit raises on purpose."""

    exit_code: ClassVar[int] = 1


class BadInput(FacekitError):
    """An option, a manifest or a call that cannot be carried out as given."""

    exit_code: ClassVar[int] = 2


class RunIncomplete(FacekitError):
    """The run reached its end, but some inputs failed; the ledger names each."""

    exit_code: ClassVar[int] = 3


class BadShard(FacekitError):
    """A shard or manifest that is damaged, hostile or of another format."""

    exit_code: ClassVar[int] = 65


class BadVideo(FacekitError):
    """A video that cannot be opened or holds no picture."""

    exit_code: ClassVar[int] = 65


class BadWeights(FacekitError):
    """A model file that is damaged, of another kind, or not what its name says."""

    exit_code: ClassVar[int] = 65


class MissingWeights(FacekitError):
    """A model file that is neither at hand nor could be fetched."""

    exit_code: ClassVar[int] = 69


class MissingDevice(FacekitError):
    """A device or an optional package that was asked for and is not there."""

    exit_code: ClassVar[int] = 69


class DiskFull(FacekitError):
    """The disk or a quota ran out; what was written before stays and the run can be resumed."""

    exit_code: ClassVar[int] = 74


class Diverged(FacekitError):
    """Training came to a number that is none; the batch that did it has been written out."""

    exit_code: ClassVar[int] = 76


class FolderLocked(FacekitError):
    """Another run is writing to the same folder."""

    exit_code: ClassVar[int] = 75


class Interrupted(FacekitError):
    """A signal ended the run; the folder it leaves can be resumed.

    Args:
        message: one line, with the command that resumes.
        signal_number: which signal; the exit code is 128 more.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
