"""The one error tree. The class is the retry rule.

::

    QuantifySyncError
    ├── TransientError              ends the task; the producer announces again
    │   ├── FileBusyError
    │   ├── SourceUnavailableError
    │   ├── BrokerUnavailableError
    │   ├── CatalogueUnavailableError
    │   ├── StoreUnavailableError
    │   ├── PageUnavailableError
    │   └── ConflictError
    └── PermanentError              answered with `failed`; tried again daily
        ├── ConfigurationError
        ├── MessageError
        ├── UnknownSourceError
        ├── OutsideRootError
        ├── NotFoundError
        ├── RefusedValueError
        ├── DamagedFileError
        ├── NotConvertibleError
        └── ChecksumError

Every message says what happened and what to do about it.
"""

from __future__ import annotations


class QuantifySyncError(Exception):
    """Something in quantify-sync went wrong."""


class TransientError(QuantifySyncError):
    """Will pass by itself: the task ends and the dataset is announced again."""


class PermanentError(QuantifySyncError):
    """Stays wrong until somebody changes something."""


class FileBusyError(TransientError):
    """A file was being rewritten each time it was read."""


class SourceUnavailableError(TransientError):
    """A source's directory is not there just now (not mounted, not readable)."""


class BrokerUnavailableError(TransientError):
    """Redis does not answer."""


class CatalogueUnavailableError(TransientError):
    """The catalogue's database does not answer."""


class StoreUnavailableError(TransientError):
    """The object store does not answer or refuses to write."""


class PageUnavailableError(TransientError):
    """The web page on another machine does not answer."""


class ConflictError(TransientError):
    """Another worker changed the same row each time this one tried."""


class ConfigurationError(PermanentError):
    """The configuration is wrong; the message says which line and how to mend it."""


class MessageError(PermanentError):
    """A message on the queue is not one of ours, or of a version not known here."""


class UnknownSourceError(PermanentError):
    """A message names a source that this worker's configuration does not list."""


class OutsideRootError(PermanentError):
    """A path leaves the data directory that it should lie in."""


class NotFoundError(PermanentError):
    """There is no such dataset, file or object."""


class RefusedValueError(PermanentError):
    """Somebody asked for something with a value that can't be taken."""


class DamagedFileError(PermanentError):
    """A file is no whole HDF5 file."""


class NotConvertibleError(PermanentError):
    """An HDF5 file holds something that is no Quantify dataset."""


class ChecksumError(PermanentError):
    """Bytes are not those whose checksum was recorded."""
