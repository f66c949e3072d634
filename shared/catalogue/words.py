"""The words that a dataset is found by, and those that a person asks for.

Both databases are given words that were made here, so that they find alike: neither
splits or folds text itself. A word is found by its beginning.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.catalogue.records import DatasetSummary

WORD_CHARACTERS = 60
"""Of a word; a longer one is cut, and found by its beginning all the same."""
WORDS = 4000
"""Of a dataset: names, tags and attributes; a comment may be long."""
QUERY_WORDS = 12
"""That a person may ask for at once."""

# A number with its decimals and exponent, or letters and digits: "t1_q3" is two words.
_WORD = re.compile(r"\d+(?:\.\d+)*(?:e[+-]?\d+)?[^\W_]*|[^\W_]+")
_FLOAT = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|[1-9]\d{12,}", re.ASCII)


def folded(name: str) -> str:
    """Fold a name so that letters compare equal in either case, on both databases."""
    return unicodedata.normalize("NFC", name).lower()


def words_of(text: str) -> Iterator[str]:
    """Split a text into its words, folded; the same one may come again.

    Numbers come in one form, however they are written: "5.2e9" as "5200000000".
    """
    for match in _WORD.finditer(folded(text)):
        word = match[0]
        if _FLOAT.fullmatch(word):
            word = format(float(word), ".12g")
        yield word[:WORD_CHARACTERS]


def joined_words(values: Iterable[Any], *, limit: int = WORDS) -> str:
    """Give the words of JSON values once each, with a space between them.

    Parameters
    ----------
    values
        Of one dataset; keys and values of objects count alike.
    limit
        At most so many words; the first ones stay.
    """
    words = (word for text in _leaves(values) for word in words_of(text))
    return " ".join(islice(dict.fromkeys(islice(words, 10 * limit)), limit))


def searched_words(record: DatasetSummary) -> str:
    """Give what a dataset is found by, apart from its instruments' settings."""
    note = record.note
    return joined_words(
        [
            record.name,
            record.alt_uid,
            record.set_up,
            record.source,
            *record.tags,
            *((*note.tags, note.comment) if note else ()),
            record.attributes,
        ]
    )


def asked_words(query: str) -> list[str]:
    """Give the words that a dataset must all have, by what a person typed."""
    words = dict.fromkeys(words_of(query))
    # What another word begins with is no further condition.
    longest = [w for w in words if not any(o != w and o.startswith(w) for o in words)]
    return longest[:QUERY_WORDS]


def _leaves(values: Iterable[Any]) -> Iterator[str]:
    """Give the texts and numbers of JSON values, at any depth, in order."""
    left = list(values)[::-1]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            for key, value in reversed(one.items()):
                left += [value, key]
        elif isinstance(one, list | tuple):
            left += reversed(one)
        elif one is not None:
            yield str(one)
