"""Where a SQLite catalogue may lie: not on a network file system.

SQLite's write-ahead log needs shared memory between all its processes, which a
network file system does not give (https://sqlite.org/wal.html, "all processes using
a database must be on the same host computer").
"""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import ConfigurationError

_MOUNTS = Path("/proc/self/mounts")  # Linux only; elsewhere nothing is known
_NETWORK_TYPES = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
# The kernel writes space, tab, newline and backslash of a mount point in octal.
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(path: str, mounts_text: str) -> str | None:
    """Type of the network file system that holds `path`.

    Parameters
    ----------
    path
        Absolute POSIX path without symbolic links.
    mounts_text
        Content of `/proc/self/mounts` (format: `fstab(5)`).

    Returns
    -------
    str or None
        For instance "nfs4"; None if the file system is a local one.
    """
    longest, kind = "", ""
    for line in mounts_text.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - device, mount point, type
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1]).rstrip("/")
        inside = path == point or path.startswith(f"{point}/")
        # A later mount on the same point hides the earlier one.
        if inside and len(point) >= len(longest):
            longest, kind = point, fields[2]
    return kind if kind in _NETWORK_TYPES else None


def network_kind(path: Path) -> str | None:
    """Type of the network file system that holds `path` here; None if none does."""
    if not _MOUNTS.exists():
        return None
    mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    return network_file_system(str(path.resolve()), mounts)


def refuse_network_file_system(file: Path) -> None:
    """Refuse a SQLite file on a network file system.

    Raises
    ------
    ConfigurationError
        If `file` would lie on one.
    """
    kind = network_kind(file)
    if kind is not None:
        raise ConfigurationError(
            f"The catalogue {file} lies on a network file system ({kind}), where "
            "SQLite loses data. Put it on a local disk, or use PostgreSQL: "
            "catalogue = 'postgresql+psycopg://user@host/database'."
        )
