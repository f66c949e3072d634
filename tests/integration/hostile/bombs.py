"""HDF5 files made to fill memory, to read other files, or to end their reader.

Run as `python bombs.py DIRECTORY SECRETS`, it writes one container for each. A process
of its own, so that the memory that making them takes is not the test's.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np

MARKER = b"the-secret-of-another-file"
NAMES: dict[str, object] = {}
HARMLESS = {"cyclic_groups", "deep_groups", "one_json_many_times"}
HARMLESS |= {"promised_dimension", "wide_json"}
"""What is to be converted all the same: what is odd in them is never looked at."""
DAY = "20260401"
HEALTHY = f"{DAY}-000000-000-abcdef"


def bomb(make):
    NAMES[make.__name__] = make
    return make


def tuid(name: str) -> str:
    return f"{DAY}-000001-{list(NAMES).index(name):03d}-abcdef"


def measurement(root, *, points=4):
    """Write what would be a good dataset by itself."""
    root.attrs["tuid"] = HEALTHY
    root["x0"] = np.arange(float(points))
    root["x0"].make_scale("x0")
    root["y0"] = np.arange(float(points))
    root["y0"].dims[0].attach_scale(root["x0"])


def with_y1(root, dtype, shape=(4,), *, edit=lambda properties: None, space=None):
    """Add a measured variable by HDF5's own calls."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    edit(properties)
    space = space or h5py.h5s.create_simple(shape, (h5py.h5s.UNLIMITED,) * len(shape))
    if properties.get_layout() == h5py.h5d.CONTIGUOUS:
        space = h5py.h5s.create_simple(shape)
    made = h5py.Dataset(h5py.h5d.create(root.id, b"y1", dtype, space, properties))
    made.dims[0].attach_scale(root["x0"])
    return made


def zeros(megabytes: int) -> bytes:
    """A zlib stream that unpacks to a thousand times its size."""
    packer = zlib.compressobj(1)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


DOUBLE = h5py.h5t.NATIVE_DOUBLE


# Promises ---------------------------------------------------------------------------


@bomb
def terabytes(root, secrets):
    root["x0"] = [0.0]
    del root["x0"]
    root.create_dataset("x0", (2**40,), "f8").make_scale("x0")


@bomb
def packed_terabytes(root, secrets):
    root.create_dataset("x0", (2**40,), "f8", chunks=(2**20,), compression="gzip")
    root["x0"].make_scale("x0")


@bomb
def one_huge_chunk(root, secrets):
    measurement(root)

    def edit(properties):
        properties.set_chunk((2**26,))
        properties.set_deflate(1)

    with_y1(root, DOUBLE, edit=edit).id.write_direct_chunk((0,), zeros(512))


@bomb
def a_million_chunks(root, secrets):
    measurement(root, points=10**6)
    with_y1(root, DOUBLE, (10**6,), edit=lambda p: p.set_chunk((1,)))


@bomb
def chunk_that_unpacks_to_more(root, secrets):
    measurement(root)

    def edit(properties):
        properties.set_chunk((4,))
        properties.set_deflate(1)

    with_y1(root, DOUBLE, edit=edit).id.write_direct_chunk((0,), zeros(768))


@bomb
def packed_twice(root, secrets):
    measurement(root)

    def edit(properties):
        properties.set_chunk((4,))
        properties.set_deflate(1)
        properties.set_deflate(1)

    made = with_y1(root, DOUBLE, edit=edit)
    made.id.write_direct_chunk((0,), zlib.compress(zeros(768)))


@bomb
def huge_texts(root, secrets):
    measurement(root)
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(2**31 - 1)
    with_y1(root, kind)


@bomb
def promised_dimension(root, secrets):
    measurement(root)
    scale = root.create_dataset("far", (2**40,), "f4")
    scale.make_scale("This is a netCDF dimension but not a netCDF variable.1099511")


@bomb
def attribute_of_terabytes(root, secrets):
    measurement(root)
    root.attrs["much"] = np.zeros(4321, np.int8)
    return lambda data: data.replace(struct.pack("<Q", 4321), struct.pack("<Q", 2**40))


@bomb
def many_attributes(root, secrets):
    measurement(root)
    for number in range(5000):
        root.attrs[f"a{number}"] = number


@bomb
def many_variables(root, secrets):
    measurement(root)
    for number in range(5000):
        root.create_group(f"g{number}")


# Texts ------------------------------------------------------------------------------


def reference(root, place: int) -> bytes:
    """Give the 16 bytes by which a text of variable length is found."""
    root.flush()
    return bytes(root.id.get_file_image()[place : place + 16])


@bomb
def one_text_many_times(root, secrets):
    measurement(root, points=200_000)
    made = root.create_dataset("y1", (200_000,), h5py.string_dtype())
    made.dims[0].attach_scale(root["x0"])
    made[0] = "t" * 2**20
    place = made.id.get_offset()
    one = reference(root, place)
    size = 16 * 200_000
    return lambda data: data[:place] + one * 200_000 + data[place + size :]


@bomb
def one_text_many_times_in_an_attribute(root, secrets):
    measurement(root)
    texts = np.array(["t" * 2**20, *[""] * 3999], dtype=object)
    root.attrs.create("texts", texts, dtype=h5py.string_dtype())
    # Length, address of the heap, number in it: the length tells where.
    mark = struct.pack("<I", 2**20)

    def patch(data):
        place = data.index(mark)
        one = data[place : place + 16]
        return data[:place] + one * 4000 + data[place + 16 * 4000 :]

    return patch


@bomb
def text_out_of_nowhere(root, secrets):
    measurement(root)
    root.attrs["text"] = "t" * 4444
    lost = struct.pack("<IQI", 2**31, 2**40, 1)

    def patch(data):
        place = data.index(struct.pack("<I", 4444))
        return data[:place] + lost + data[place + 16 :]

    return patch


@bomb
def heap_without_end(root, secrets):
    measurement(root)
    root.attrs["text"] = "t" * 4444

    def patch(data):
        # Bytes that HDF5 skips are no longer 0, and the first entry takes no room.
        place = data.index(b"GCOL\x01")
        entry = struct.pack("<HHIQ", 0, 0, 0, 0)
        return (
            data[: place + 5]
            + b"abc"
            + data[place + 8 : place + 16]
            + (entry + data[place + 32 :])
        )

    return patch


@bomb
def heads_of_heaps(root, secrets):
    measurement(root)
    # Each is followed by a leap over the others to many short entries.
    number = 100_000
    heads = b"".join(
        struct.pack("<4sB3xQHHIQ", b"GCOL", 1, 2**40, 0, 0, 0, 32 * (number - i) - 16)
        for i in range(number)
    )
    data = heads + struct.pack("<HHIQ", 1, 0, 0, 0) * number
    root["x1"] = np.frombuffer(data, np.uint8)
    root["x1"].make_scale("x1")


@bomb
def wide_json(root, secrets):
    measurement(root)
    root.attrs["quantify_dataset_version"] = '"2.0.0"'
    root.attrs["wide"] = "[" + "{}," * 200_000 + "{}]"
    root.attrs["deep"] = "[" * 20_000


@bomb
def one_json_many_times(root, secrets):
    measurement(root)
    root.attrs["quantify_dataset_version"] = '"2.0.0"'
    for number in range(20):
        root.attrs[f"a{number:03d}"] = "[" + "{}," * 100_000 + "{}]"


# Other files ------------------------------------------------------------------------


@bomb
def outside_link(root, secrets):
    measurement(root)
    root["y1"] = h5py.ExternalLink(str(secrets / "secret.h5"), "/y0")


@bomb
def outside_storage(root, secrets):
    measurement(root)
    made = root.create_dataset(
        "y1", (4,), "u1", external=[(str(secrets / "secret.txt"), 0, 4)]
    )
    made.dims[0].attach_scale(root["x0"])


@bomb
def view_of_another(root, secrets):
    measurement(root)
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secrets / "secret.h5"), "y0", shape=(4,))
    root.create_virtual_dataset("y1", layout)


@bomb
def view_of_a_pipe(root, secrets):
    measurement(root)
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8", maxshape=(None,))
    source = h5py.VirtualSource(
        str(secrets / "pipe"), "y0", shape=(4,), maxshape=(None,)
    )
    layout[0 : h5py.h5s.UNLIMITED] = source[0 : h5py.h5s.UNLIMITED]
    root.create_virtual_dataset("y1", layout)


@bomb
def unknown_filter(root, secrets):
    measurement(root)

    def edit(properties):
        properties.set_chunk((4,))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))

    with_y1(root, DOUBLE, edit=edit)


# Shapes -----------------------------------------------------------------------------


@bomb
def soft_links_in_a_ring(root, secrets):
    measurement(root)
    root["x1"], root["x2"] = h5py.SoftLink("/x2"), h5py.SoftLink("/x1")


@bomb
def cyclic_groups(root, secrets):
    measurement(root)
    group = root.create_group("g")
    group["root"] = root
    root["self"] = root


@bomb
def deep_groups(root, secrets):
    measurement(root)
    group = root.create_group("g")
    for _ in range(3000):
        group = group.create_group("g")


@bomb
def references(root, secrets):
    measurement(root)
    made = root.create_dataset("y1", (4,), h5py.ref_dtype)
    made[0] = root["x0"].ref
    made.dims[0].attach_scale(root["x0"])
    root.create_dataset("y2", (4,), h5py.regionref_dtype).dims[0].attach_scale(
        root["x0"]
    )


@bomb
def numbers_of_any_length(root, secrets):
    measurement(root)
    made = root.create_dataset("y1", (4,), h5py.vlen_dtype(np.float64))
    made.dims[0].attach_scale(root["x0"])


@bomb
def short_lengths(root, secrets):
    """Made anew by `content`: a file that counts with 32 bits."""


def content(name: str, secrets: Path) -> bytes:
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    if name == "short_lengths":
        properties.set_sizes(8, 4)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    file = h5py.h5f.create(b"in-memory", h5py.h5f.ACC_TRUNC, properties, access)
    with h5py.File(file) as root:
        if name in {"short_lengths", "healthy"}:
            measurement(root)
            patch = None
        else:
            patch = NAMES[name](root, secrets)
        root.flush()
        data = bytes(root.id.get_file_image())
    return patch(data) if patch else data


def main(directory: Path, secrets: Path) -> None:
    secrets.mkdir()
    (secrets / "secret.txt").write_bytes(MARKER)
    os.mkfifo(secrets / "pipe")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as root:
        root["y0"] = np.frombuffer(MARKER.ljust(32), np.float64)
    (secrets / "secret.h5").write_bytes(buffer.getvalue())
    for name in ("healthy", *NAMES):
        folder = HEALTHY if name == "healthy" else tuid(name)
        container = directory / DAY / f"{folder}-{name}"
        container.mkdir(parents=True)
        (container / "dataset.hdf5").write_bytes(content(name, secrets))
    nested = "[" * 10**6
    (directory / DAY / f"{HEALTHY}-healthy" / "snapshot.json").write_text(nested)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
