"""How much memory the content of one file may take: what a bomb is measured by.

A small file can promise, or unpack to, far more than it holds. All that is read of a
file is paid for before it is read, by what its header says; what the header can't say
is looked at where it lies. Whoever sends a large file gets a large budget.
"""

from __future__ import annotations

from shared.errors import NotConvertibleError

EXPANSION = 32
"""Times its own size that a file's content may take in memory. Quantify does not
compress, so its arrays take their size once; netCDF's tools pack measured values by 2
to 4, and empty arrays by up to 1000."""

MIN_BYTES = 16 * 2**20
"""What the content of a file of any size may take."""

ATTRIBUTE_BYTES = 1024
"""Of each attribute, beside its value: a name, a Python object, a row of JSON."""
CHUNK_BYTES = 1024
"""Of each chunk of a chunked array: HDF5 keeps a map of all that one read touches."""
TEXT_BYTES = 100
"""Of each text, beside its bytes: a Python object and the reference to it."""
NUMBER_TIMES = 5
"""A number in an attribute becomes a Python object: 40 bytes for its 8."""
JSON_CHARACTERS = 2**18
"""Of all nested JSON of a file that is decoded: what an attribute holds is short, and
each character may become 24 bytes of Python objects (`{},{},…`, CPython 3.11)."""


class Budget:
    """What is left of the memory that one file's content may take.

    Parameters
    ----------
    size
        Of the file, bytes.
    longest
        Bytes of the longest text that the file's heaps hold: what reading one text of
        variable length takes at most.
    """

    def __init__(self, size: int, *, longest: int = 0) -> None:
        self.bound = max(MIN_BYTES, EXPANSION * size)
        self.longest = longest
        self._spent = 0
        self._json = 0

    def spend(self, number: int, what: str) -> None:
        """Pay for something before it is read.

        Parameters
        ----------
        number
            Bytes that it takes.
        what
            Its name, for the error.

        Raises
        ------
        NotConvertibleError
            There is not so much left.
        """
        self._spent += number
        if self._spent > self.bound:
            raise too_large(what, self._spent)

    def allows_texts(self, number: int) -> bool:
        """Whether so many texts can be read at once, each as long as the longest."""
        return number * self.longest <= self.bound

    def takes_json(self, number: int) -> bool:
        """Take JSON of so many characters, if there is room left for it."""
        takes = self._json + number <= JSON_CHARACTERS
        self._json += number * takes
        return takes


def too_large(what: str, number: int) -> NotConvertibleError:
    """Name what does not fit."""
    return NotConvertibleError(
        f"Not converted, because {what} would take {number} bytes of memory, too many "
        "for a file of its size. The file is stored as it is."
    )
