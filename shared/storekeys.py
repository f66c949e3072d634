"""Names of objects in the store.

A key has to be accepted by every kind of store and, where the store is a folder, by
every file system, Windows' included. The true names stand in the manifest.

An object never changes: its key has the content's hash in it, so two files share a
key only if their content is the same.
"""

from __future__ import annotations

import hashlib
import re

KEY_BYTES = 900  # S3 allows 1024, the prefix in the store's own URL included
SEGMENT_BYTES = 200  # file systems allow 255; some of it is left for temporary names
HASH_CHARACTERS = 16  # hexadecimal: 64 bits, of the content or of a long name
SIDECAR_NAME = "quantify-sync.json"

# Control characters, what Windows or obstore refuse, and the sign of the encoding
# itself. `#` too: obstore keeps names that end in `#` and digits for itself.
_REFUSED = re.compile('[\x00-\x1f\x7f\ud800-\udfff%\\\\/:*?"<>|#]')
_NEVER_IN_A_KEY = re.compile('[\x00-\x1f\x7f\ud800-\udfff\\\\:*?"<>|#]')
_TRAILING = re.compile(r"[. ]+\Z")  # Windows drops them
# The first letter of what Windows takes for a device, whatever suffix follows.
_DEVICE = re.compile(
    r"\A[CPANL](?=(?:(?<=C)ON|(?<=P)RN|(?<=A)UX|(?<=N)UL|(?<=C)OM\d|(?<=L)PT\d)(?:\.|\Z))",
    re.IGNORECASE,
)
# Suffixes that belong together: readers tell the content by both.
_SUFFIX = re.compile(
    r"(?:\.[^.]+)?\.(?:gz|bz2|xz|zst|lz4|br)\Z|\.[^.]+\Z", re.IGNORECASE
)
_LONGEST_SUFFIX = 20  # characters; what is longer is no suffix but a name with a dot


def dataset_prefix(source: str, tuid: str, name: str) -> str:
    """Give the prefix of a dataset's objects.

    Parameters
    ----------
    source
        The source's name.
    tuid
        `YYYYMMDD-HHMMSS-mmm-xxxxxx`.
    name
        The dataset's name, any text; it only makes the prefix readable.

    Returns
    -------
    str
        `{source}/{YYYYMMDD}/{tuid}-{slug}`, without `-{slug}` if the name is empty.
    """
    slug = re.sub(r"\s+", "_", name.strip())
    folder = f"{tuid}-{slug}" if slug else tuid
    return "/".join(map(_segment, (source, tuid[:8], folder)))


def object_key(prefix: str, relative_path: str, sha256: str) -> str:
    """Give the key of the object with a file's content.

    Parameters
    ----------
    prefix
        As `dataset_prefix` gave it when the dataset was first stored.
    relative_path
        Of the file in its container, in wire form (see `shared.names`).
    sha256
        Of the content, hexadecimal.

    Returns
    -------
    str
        `prefix/folders/stem.{sha256[:16]}.suffix`: `dataset.3fa9….hdf5`,
        `snapshot.77b0….json.gz`, `.hidden.12ab…`.
    """
    *folders, name = relative_path.split("/")
    stem, suffix = _split_suffix(name)
    tail = f".{sha256[:HASH_CHARACTERS]}{_encoded(suffix)}"
    file = _shortened(_encoded(stem), stem, room=SEGMENT_BYTES - _length(tail)) + tail
    key = "/".join([prefix, *map(_segment, folders), file])
    if _length(key) <= KEY_BYTES:
        return key
    return "/".join([prefix, _segment("/".join(folders)), file])


def sidecar_key(prefix: str) -> str:
    """Give the key of a dataset's `quantify-sync.json`, the one that is rewritten."""
    return f"{prefix}/{SIDECAR_NAME}"


def is_key(text: str) -> bool:
    """Tell whether a text may name an object, or be the prefix of some.

    What comes from a description in the store could be written by anybody who may write
    there; no key leads out of the store, wherever that is.
    """
    return not _NEVER_IN_A_KEY.search(text) and all(
        segment.strip(".") for segment in text.split("/")
    )


def _split_suffix(name: str) -> tuple[str, str]:
    match = _SUFFIX.search(name, 1)
    if match is None or len(match[0]) > _LONGEST_SUFFIX:
        return name, ""
    return name[: match.start()], match[0]


def _segment(name: str) -> str:
    return _shortened(_encoded(name), name, room=SEGMENT_BYTES)


def _encoded(text: str) -> str:
    text = _REFUSED.sub(_percent, text)
    text = _TRAILING.sub(_percent, text)
    return _DEVICE.sub(_percent, text)


def _percent(match: re.Match[str]) -> str:
    raw = match[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in raw)


def _shortened(encoded: str, name: str, *, room: int) -> str:
    if _length(encoded) <= room:
        return encoded
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    mark = f"~{digest[:HASH_CHARACTERS]}"
    kept = encoded.encode()[: room - _length(mark)].decode(errors="ignore")
    # Not in the middle of an encoded byte.
    return re.sub(r"%[0-9A-F]?\Z", "", kept) + mark


def _length(text: str) -> int:
    return len(text.encode())
