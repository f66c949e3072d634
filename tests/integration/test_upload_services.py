"""The same uploads into the services of a pool: PostgreSQL and an S3 server."""

from __future__ import annotations

import hashlib

import pytest

from shared.catalogue.records import FileStatus
from workers.upload import Result, upload, upload_found
from workers.workplace import Workplace


@pytest.fixture
def place(settings, postgres_url, s3_store_url):
    elsewhere = {"catalogue": postgres_url, "store": s3_store_url}
    workplace = Workplace(settings.model_copy(update=elsewhere))
    workplace.prepare()
    yield workplace
    workplace.close()


def test_every_recorded_dataset_reaches_postgresql_and_s3(
    place, quantify_directory, announce, record_of
):
    containers = sorted(p for p in quantify_directory.glob("*/*") if p.is_dir())
    for container in containers:
        assert upload(place, announce(container)) is Result.STORED
        for file in record_of(container).files:
            data = place.store.get(file.key)
            assert hashlib.sha256(data).hexdigest() == file.sha256
        assert upload(place, announce(container)) is Result.UNCHANGED


def test_a_batch_is_stored_together_and_each_dataset_fails_on_its_own(
    place, quantify_directory, found, record_of
):
    containers = sorted(quantify_directory.glob("20260301/*"))
    message = found(containers)
    gone = containers[1].rename(quantify_directory / "gone")
    outcomes = upload_found(place, message)
    results = [outcomes[seen.tuid] for seen in message.items]
    assert results == [
        Result.STORED,
        Result.NOT_YET,
        Result.STORED,
        Result.STORED,
    ]
    assert gone.is_dir()
    for number in (0, 2, 3):
        record = record_of(containers[number])
        assert {file.status for file in record.files} == {FileStatus.STORED}
        assert [line.event for line in record.history] == ["stored"]
    assert record_of(containers[1]) is None
