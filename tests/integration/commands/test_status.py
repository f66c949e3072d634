"""`status`, `retry`, `resync`: how things stand, and another try."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import update

from quantify_sync.place import Place
from quantify_sync.status import read_status
from shared import answers, listings, marks, presence, queues, refusals, requests
from shared.catalogue import queries
from shared.catalogue.models import Dataset
from shared.catalogue.records import State
from shared.errors import UnknownSourceError
from shared.fingerprint import Entry, Listing
from shared.presence import Agent, Progress
from shared.version import installed_version
from workers.upload import Result

GRID = "20260302-015602-771-e40978"
STRANGER = "20260101-000000-000-abcdef"


@pytest.fixture
def agent(stored):
    def write(**values):
        seconds, microseconds = stored.redis.time()
        now = seconds + microseconds / 1e6
        fields = {
            "host": "lab-pc",
            "pid": 1,
            "version": "0.1.0",
            "clock": now,
            "started": now - 100,
        }
        presence.write_agent(stored.redis, "fridge", Agent(**{**fields, **values}))
        return now

    return write


@pytest.fixture
def failed_row(stored):
    """A dataset whose row says that it failed."""
    with stored.catalogue.write() as session:
        session.execute(
            update(Dataset)
            .where(Dataset.alt_uid == GRID)
            .values(state=State.FAILED, error="the disk said no")
        )


def refuse(place, tuid, error="too strange"):
    answers.fail(
        place.redis,
        "fridge",
        tuid,
        fingerprint="0" * 32,
        worker=installed_version(),
        error=error,
    )


def test_the_catalogue_is_counted(stored, front):
    now = read_status(front)

    assert now.states == {State.SYNCED: 6}
    assert now.with_defects == 1  # the half file
    assert (now.broker_answers, now.catalogue_error) == (True, None)


def test_a_producer_is_told_with_age_and_clock(stored, front, agent):
    agent(datasets=33, unanswered=2, oldest=None, message="slow drive")

    producer = read_status(front).sources[0].producer

    assert (producer.host, producer.datasets, producer.message) == (
        "lab-pc",
        33,
        "slow drive",
    )
    assert 0 <= producer.age < 25
    assert abs(producer.clock_offset) < 5


def test_a_clock_that_is_wrong_is_told_and_spoils_no_age(stored, front, agent):
    now = agent()
    agent(clock=now + 3600, oldest=now + 3000)

    producer = read_status(front).sources[0].producer

    assert producer.clock_offset == pytest.approx(3600, abs=5)
    assert producer.waiting == pytest.approx(600)


def test_a_set_up_without_a_heartbeat_is_told_with_host_time_and_command(
    stored, run, agent
):
    assert "no producer is heard; none was in the last week" in run("status", code=1)
    agent()
    stored.redis.delete("qs:agent:fridge")
    stored.redis.expire("qs:heard:fridge", presence.HEARD_SECONDS - 7200)

    told = run("status", code=1)

    assert told.startswith("1 thing is wrong:\n")
    assert "fridge (dilution_fridge_1): no producer is heard for 2.0 h" in told
    assert "on lab-pc: quantify-sync producer status" in told


def test_all_is_well_when_it_is(stored, run, agent):
    agent(datasets=6)

    assert run("status").startswith("All is well.\n")


def test_what_is_wrong_comes_first_the_worst_before_the_rest(
    failed_row, stored, run, agent
):
    now = agent()
    agent(clock=now + 60, message="The drive is away.", unanswered=3, oldest=now - 6000)
    refuse(stored, STRANGER)
    refusals.count(stored.redis, "of version 7")

    told = run("status", code=1)
    troubles = json.loads(run("status", "--json", code=1))["troubles"]

    assert told.startswith("5 things are wrong, the worst first:\n")
    assert [t["what"].split(":")[1].strip() for t in troubles] == [
        "The drive is away.",
        "3 dataset(s) without an answer, the oldest for 1.7 h",
        "2 dataset(s) failed",
        "of version 7",
        "the clock of lab-pc differs from that of Redis by +60 s",
    ]
    assert "quantify-sync retry --failed --source fridge" in told
    assert "the disk said no" in told
    assert all(trouble["remedy"] in told for trouble in troubles)


def test_messages_that_wait_are_counted_by_queue(stored, settings):
    source = settings.sources[0].model_copy(update={"queue": "fridge_1"})
    with Place(settings.model_copy(update={"sources": (source,)})) as place:
        stored.redis.rpush(queues.with_suffix(queues.BACKLOG, "fridge_1"), "a", "b")
        stored.redis.rpush(queues.EVENTS, "a")

        depths = read_status(place).queues

    assert (depths["backlog.fridge_1"], depths["events"], depths["uploads"]) == (
        2,
        1,
        0,
    )


def test_failures_of_row_and_of_redis_are_told_with_the_command(
    failed_row, stored, front
):
    refuse(stored, STRANGER)

    failures = read_status(front).failures

    assert {f.tuid: f.reason for f in failures} == {
        GRID: "the disk said no",
        STRANGER: "too strange",
    }
    assert f"quantify-sync retry {GRID} --source fridge" in [
        failure.command for failure in failures
    ]


def test_refused_messages_are_counted(stored, run):
    refusals.count(stored.redis, "of version 7")

    told = run("status", code=1)

    assert "1 message(s) were refused in the last day: of version 7" in told
    assert 0 < stored.redis.ttl("qs:refused") <= 86_400
    for number in range(20):
        refusals.count(stored.redis, f"nonsense {number}")
    told = json.loads(run("status", "--json", code=1))
    with pytest.raises(UnknownSourceError) as unlisted:
        stored.settings.source("fridge_9")
    refusals.count(stored.redis, str(unlisted.value))
    told = json.loads(run("status", "--json", code=1))
    new, other, wrong = (t for t in told["troubles"] if "were refused" in t["what"])
    assert "'fridge_9'" in other["what"]
    assert "restart" in other["remedy"]
    assert "upgrade" in new["remedy"]
    assert wrong["what"].startswith("20 message(s) were refused")
    assert "who sends them" in wrong["remedy"]


def test_duplicates_and_strays_are_shown(stored, run, agent):
    agent(
        duplicates=("20260302/copy",),
        duplicate_count=1,
        strays=("20260401/x (no dataset.hdf5)",),
        stray_count=25,
    )

    told = run("status")

    assert "not synced, second folder of its TUID: 20260302/copy" in told
    assert "not synced: 20260401/x (no dataset.hdf5)" in told
    assert "not synced: and 24 more" in told


def follow(place, tuid, **values):
    fields = {"state": "live", "filled": 30, "total": 120, "rate": 2.0}
    told = Progress(**{**fields, "end": None, "updated": time.time(), **values})
    presence.write_progress(place.redis, {("fridge", tuid): told})


def test_how_far_running_measurements_are_is_told(stored, run, agent):
    agent()
    follow(stored, STRANGER, end=time.time() + 45)
    follow(stored, GRID, state="complete", filled=120)

    (source,) = json.loads(run("status", "--json"))["sources"]

    (told,) = source["runs"]
    assert (told["tuid"], told["filled"], told["total"]) == (STRANGER, 30, 120)
    assert 30 < told["left"] <= 45
    assert told["rate"] == 2.0
    assert 0 <= told["age"] < 30
    assert f"follows {STRANGER}: 30 of 120 points, 2 a second, " in run("status")


def test_a_run_that_no_live_worker_follows_is_told_with_the_remedy(
    stored, run, configured
):
    redis = stored.redis
    for tuid in (STRANGER, GRID):
        marks.claim_follow(redis, "fridge", tuid, "{}", queues.LIVE)
    presence.send_pulse(redis, "fridge", STRANGER, size=1, mtime_us=1)

    (source,) = json.loads(run("status", "--json", code=1))["sources"]

    assert source["unfollowed"] == [STRANGER]
    told = run("status", code=1)
    assert f"no live worker follows {STRANGER}" in told
    assert "quantify-sync worker --pool threads --queues live" in told

    text = configured.read_text("utf-8")
    own = text.replace('name = "fridge"', 'name = "fridge"\nqueue = "own"')
    configured.write_text(own, "utf-8")
    told = run("status", code=1)
    assert "on the lab machine: quantify-sync worker --source fridge" in told


def test_a_run_counts_as_written_lately_not_as_live(stored, run, agent):
    agent(datasets=33, live=2)

    assert "2 written in the last 2 min" in run("status")


def test_what_two_listings_disagree_about_is_shown(stored, run):
    ours = Listing(GRID, (Entry("dataset.hdf5", 10, 1_000_000),))
    theirs = Listing(GRID, (Entry("dataset.hdf5", 9, 1_000_000),))
    listings.write(stored.redis, "fridge", GRID, ours, side="producer")
    assert "no worker has looked at it yet" in run("status", code=1)
    listings.write(stored.redis, "fridge", GRID, theirs, side="worker")

    told = run("status", code=1)

    assert f"disagree about {GRID}: dataset.hdf5: 10 bytes" in told


def test_without_redis_the_catalogue_is_still_told(stored, run, without_redis):
    told = run("status", code=1)

    assert "6 synced" in told
    assert "1 thing is wrong:\n  Redis is not running" in told
    assert "quantify-sync up" in told


def test_without_a_catalogue_the_rest_is_still_told(run):
    told = run("status", code=1)

    assert "There is no catalogue" in told
    assert "fridge (dilution_fridge_1)" in told


def test_of_a_catalogue_that_is_no_database_no_count_is_told(configured, run):
    (configured.parent / "catalogue.sqlite").write_bytes(b"garbage" * 1000)

    told = run("status", code=1)

    assert "is no database" in told
    assert "Datasets" not in told
    assert "Queues" in told


def test_status_as_json_holds_the_same(stored, run, agent):
    agent()

    assert json.loads(run("status", "--json"))["states"] == {"synced": 6}


def test_no_password_is_shown(settings, place):
    url = settings.broker.replace("redis://", "redis://:hunter2@")
    with Place(settings.model_copy(update={"broker": url})) as front:
        text = read_status(front).model_dump_json()

    assert "hunter2" not in text


def test_retry_clears_the_answers_and_asks_the_producer(failed_row, stored, run):
    refuse(stored, GRID)

    assert "1 dataset(s)" in run("retry", GRID)

    assert answers.read_failures(stored.redis, "fridge") == {}
    assert requests.read(stored.redis, "fridge").verb == "compare"
    with stored.catalogue.read() as session:
        assert queries.find(session, GRID).state == State.FOUND


def test_retry_opens_what_is_in_step_too(stored, store_again, run):
    run("retry", GRID)

    with stored.catalogue.read() as session:
        row = queries.find(session, GRID)
        assert (row.fingerprint, row.state) == (None, State.COMPLETE)
        assert row.history[-1].event == "retried"
    assert store_again(f"20260302/{GRID}-grid_2d") is Result.STORED
    with stored.catalogue.read() as session:
        assert queries.find(session, GRID).state == State.SYNCED


def test_retry_of_what_was_refused_before_it_was_stored(stored, run):
    refuse(stored, STRANGER)

    run("retry", STRANGER)

    assert answers.read_failures(stored.redis, "fridge") == {}


def test_retry_failed_takes_all_that_failed(failed_row, stored, run):
    refuse(stored, STRANGER)

    assert "2 dataset(s)" in run("retry", "--failed")

    assert answers.read_failures(stored.redis, "fridge") == {}
    assert "Nothing has failed" in run("retry", "--failed")


def test_retry_wants_either_a_tuid_or_all(stored, run):
    run("retry", code=2)
    run("retry", GRID, "--failed", code=2)


def test_retry_of_an_unknown_dataset_is_refused(stored, run):
    assert "no dataset" in run("retry", STRANGER, code=3)


def test_resync_asks_for_everything(stored, run):
    run("resync")

    assert requests.read(stored.redis, "fridge").verb == "everything"
    assert "not in this machine's configuration" in run(
        "resync", "--source", "another", code=3
    )


def test_what_needs_redis_says_so(stored, run, without_redis):
    assert "Redis is not reachable" in run("resync", code=4)
