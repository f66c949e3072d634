"""How datasets are shown: as the table of `ls`, and one whole by `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantify_sync import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from shared.catalogue.records import DatasetRecord, DatasetSummary, Note


def datasets_table(datasets: Sequence[DatasetSummary]) -> Table:
    """Make the table of `ls`; it names the sources where there are several."""
    sources = {dataset.source for dataset in datasets}
    where = ("source",) if len(sources) > 1 else ()
    made = output.table(
        *("TUID", "name", *where, "set-up", "state", "points", "tags", "defects")
    )
    for dataset in datasets:
        cells = (
            dataset.alt_uid,
            f"\N{BLACK STAR} {dataset.name}" if _has_star(dataset) else dataset.name,
            *((dataset.source,) if where else ()),
            dataset.set_up,
            dataset.state,
            _points(dataset),
            ", ".join((*dataset.tags, *(dataset.note.tags if dataset.note else ()))),
            len(dataset.defects) or None,
        )
        made.add_row(*map(output.cell, cells))
    return made


def print_record(record: DatasetRecord) -> None:
    """Print all that is known of a dataset."""
    _print_facts(record)
    _print_files(record)
    if record.defects:
        output.print_heading("Defects")
        made = output.table("file", "what", "detail")
        for defect in record.defects:
            made.add_row(*map(output.cell, (defect.path, defect.kind, defect.detail)))
        output.print_table(made)
    made = output.table("when", "what", "state", "detail")
    for line in record.history:
        when = line.at.astimezone().isoformat(sep=" ", timespec="seconds")
        made.add_row(*map(output.cell, (when, line.event, line.state, line.detail)))
    output.print_heading("History")
    output.print_table(made)


def note_line(note: Note | None) -> str:
    """Give a note in one line; empty if there is nothing to tell."""
    if note is None:
        return ""
    parts = (
        "\N{BLACK STAR}" if note.star else "",
        note.comment,
        ", ".join(note.tags),
    )
    said = "  ".join(part for part in parts if part)
    when = note.at.astimezone().isoformat(sep=" ", timespec="minutes")
    return f"{said}  ({note.by}, {when})" if said else ""


def _has_star(dataset: DatasetSummary) -> bool:
    return dataset.note is not None and dataset.note.star


def _points(dataset: DatasetSummary) -> str | None:
    if dataset.points is None:
        return None
    if dataset.filled == dataset.points:
        return str(dataset.points)
    return f"{dataset.filled}/{dataset.points}"


def _print_facts(record: DatasetRecord) -> None:
    ended = f" ({record.ended})" if record.ended else ""
    facts = {
        "name": record.name,
        "TUID": record.alt_uid,
        "id": record.id,
        "source": record.source,
        "set-up": record.set_up,
        "scope": record.scope,
        "collected": record.collected.isoformat(sep=" ", timespec="milliseconds"),
        "state": f"{record.state}{ended}",
        "format": record.format,
        "points": _points(record),
        "tags": ", ".join(record.tags),
        "note": note_line(record.note),
        "folder": record.folder,
        "store": f"{record.store}/{record.prefix}",
        "error": record.error,
    }
    made = output.table("", "")
    made.show_header = False
    for label, text in facts.items():
        if text:
            made.add_row(output.cell(label, "bold"), output.cell(text))
    for label, value in record.attributes.items():
        made.add_row(output.cell(f"  {label}", "bold"), output.cell(value))
    output.print_table(made)


def _print_files(record: DatasetRecord) -> None:
    made = output.table("file", "size", "sha256", "status")
    for file in record.files:
        status = " ".join((file.status, *file.marks))
        made.add_row(
            output.cell(file.path),
            output.cell(output.file_size(file.size)),
            output.cell(file.sha256),
            output.cell(status, "" if status == "stored" else "yellow"),
        )
    output.print_heading("Files")
    output.print_table(made)
