"""What a live worker does around following: taking runs, handing on, tidying up."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import quantify_sync
from shared import keys, marks, pauses, presence, queues
from shared.errors import (
    NotConvertibleError,
    NotFoundError,
    SourceUnavailableError,
    StoreUnavailableError,
)
from shared.pauses import Pause
from workers import announcements, upload
from workers.live import tidying
from workers.live.desk import Desk
from workers.live.folder import Memory, RunFolder
from workers.live.tidying import (
    KEPT_SECONDS,
    REMEMBERED_SECONDS,
    last_announcement,
    tidy,
)

NAN = np.nan
X = [np.arange(4.0)]
PAUSE = Pause(since="2026-03-02T10:00:00Z", by="ada@lab")


def nothing():
    return [np.full(4, NAN)]


def values(count=4):
    y = nothing()
    y[0][:count] = np.arange(count)
    return y


def folder_of(place, run):
    return RunFolder(place.settings.live, run.source, run.tuid)


@pytest.fixture
def finished(run, follow, place):
    """Follow a run to its end; what it sent is not uploaded yet."""

    def make():
        one = run()
        one.begin(X, nothing())
        follower = follow(one)
        one.close(X, values())
        assert follower.join() == "filled"
        return one, folder_of(place, one)

    return make


@pytest.fixture
def later(monkeypatch):
    """Let time pass for what tidies up."""
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(tidying.time, "time", lambda: clock.now)

    def go_on(seconds):
        clock.now += seconds

    return go_on


def store(place, folder):
    memory = folder.recall()
    source = place.settings.source(memory.source)
    upload.upload(place, last_announcement(source, memory))


def test_a_replica_is_removed_an_hour_after_its_dataset_is_stored(
    finished, place, later
):
    _, folder = finished()
    later(10 * KEPT_SECONDS)
    tidy(place)
    assert folder.current().exists()  # nothing is stored yet
    store(place, folder)
    tidy(place)
    later(KEPT_SECONDS - 1)
    tidy(place)
    assert folder.current().exists()
    later(1)
    tidy(place)
    assert not folder.path.exists()


def test_a_replica_of_something_newer_than_what_is_stored_stays(finished, place, later):
    run, folder = finished()
    store(place, folder)
    memory = folder.recall()
    newer = memory.model_copy(update={"mtime_us": memory.mtime_us + 1})
    folder.remember(newer)
    for _ in range(3):
        tidy(place)
        later(KEPT_SECONDS)
    assert folder.current().exists()
    assert run.container.exists()


def test_a_replica_of_a_run_that_is_followed_stays(run, follow, states, place, later):
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    for _ in range(3):
        tidy(place)
        later(KEPT_SECONDS)
    assert follower.folder.current().exists()
    assert follower.thread.is_alive()


def test_that_a_run_was_superseded_once_is_known_longer_than_its_replica(
    run, follow, states, place, later
):
    """An outer run is written again when the inner one is over, hours later."""
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    run("newer").begin(X, nothing())
    assert follower.join() == "superseded"
    folder = folder_of(place, one)
    store(place, folder)
    tidy(place)
    later(KEPT_SECONDS)
    tidy(place)
    assert folder.current() is None
    assert {file.name for file in folder.path.iterdir()} == {"run.json", "lock"}
    assert folder.recall().superseded
    later(REMEMBERED_SECONDS)
    tidy(place)
    assert not folder.path.exists()


def test_a_run_that_can_not_be_replicated_keeps_no_other_from_being_tidied(
    run, finished, place, later, announce, monkeypatch
):
    odd = run("odd")
    odd.begin(X, values())
    folder = folder_of(place, odd)
    with folder.locked():
        folder.remember(
            Memory(source="fridge", tuid=odd.tuid, folder=odd.folder, token="t")
        )
    upload.upload(place, announce(odd.container, why="settled"))

    def refuse(*_, **__):
        raise NotConvertibleError("no replica of this")

    _, other = finished()
    store(place, other)
    monkeypatch.setattr("workers.live.follower.Replica", refuse)
    tidy(place)
    assert folder.recall().ended == "filled"
    later(KEPT_SECONDS)
    tidy(place)
    assert not other.path.exists()


def test_a_run_that_another_machine_followed_to_its_end_has_ended_here_too(
    run, follow, states, place, later, announce
):
    one = run()
    one.begin(X, nothing())
    first = follow(one)
    states.wait_for(lambda: first.is_at(one))
    first.stop()
    one.close(X, values())
    tidy(place)
    assert folder_of(place, one).recall().ended is None  # not stored yet
    message = announce(one.container, why="settled")
    upload.upload(place, message.model_copy(update={"ended": "filled"}))
    tidy(place)
    state = first.read()
    assert (state.status.state, state.status.ended) == ("complete", "filled")
    assert states.equal(state, one.states[-1])
    tidy(place)
    later(KEPT_SECONDS)
    tidy(place)
    assert not folder_of(place, one).path.exists()


def test_what_could_not_be_stored_at_the_end_is_stored_later(
    run, follow, states, quiet, place, announce, record_of, monkeypatch, desk
):
    one = run()
    one.begin(X, nothing())
    quiet(1.0)
    first = follow(one)
    one.write(X, values(3))
    states.wait_for(lambda: first.is_at(one))
    first.stop()
    good = one.file.read_bytes()
    one.file.write_bytes(good[:96])

    def fail(*_, **__):
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(upload, "upload", fail)
        with pytest.raises(StoreUnavailableError):
            desk.follow(announce(one.container, why="write"))
    assert record_of(one.container) is None
    tidy(place)
    file = record_of(one.container).file("dataset.recovered.hdf5")
    assert place.store.get(file.key) == good


@pytest.fixture
def recovered(run, follow, states, quiet, place):
    """A run of which a damaged file is left, and what was accepted of it before."""
    one = run()
    one.begin(X, nothing())
    quiet(1.0)
    follower = follow(one)
    one.write(X, values(3))
    states.wait_for(lambda: follower.is_at(one))
    one.file.write_bytes(one.file.read_bytes()[:96])
    assert follower.join() == "quiet"
    return one, folder_of(place, one)


def test_a_recovered_run_is_opened_as_it_was_followed(recovered, settings):
    run, _ = recovered
    dataset = quantify_sync.open_dataset(run.tuid, settings=settings)
    np.testing.assert_array_equal(dataset.y0, values(3)[0])


def test_what_was_recovered_stays_when_another_machine_stores_the_run_again(
    recovered, place, announce, record_of
):
    run, folder = recovered
    before = record_of(run.container)
    folder.remove()
    upload.upload(place, announce(run.container, why="settled"))
    (run.container / "notes.txt").write_text("interrupted")
    upload.upload(place, announce(run.container))
    after = record_of(run.container)
    assert {file.path for file in after.files} == {
        *(file.path for file in before.files),
        "notes.txt",
    }
    assert {d.kind for d in after.defects} == {"damaged", "recovered"}


def test_a_file_that_is_mended_takes_the_place_of_what_was_recovered(
    recovered, place, announce, record_of, settings
):
    run, _ = recovered
    run.write(X, values(4))
    upload.upload(place, announce(run.container))
    after = record_of(run.container)
    assert after.file("dataset.recovered.hdf5").status == "vanished"
    assert after.defects == ()
    dataset = quantify_sync.open_dataset(run.tuid, settings=settings)
    np.testing.assert_array_equal(dataset.y0, values(4)[0])


def test_a_run_that_is_only_followed_yet_is_no_stored_dataset(
    run, follow, states, place, announce, settings
):
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    upload.upload(place, announce(one.container))
    with pytest.raises(NotFoundError, match="open_live"):
        quantify_sync.open_dataset(one.tuid, settings=settings)


# Which runs are taken ---------------------------------------------------------------


@pytest.fixture
def sent():
    return []


@pytest.fixture
def app(sent):
    def take(name, **options):
        sent.append((name, options["queue"], options["kwargs"]["message"]["tuid"]))

    return SimpleNamespace(send_task=take)


@pytest.fixture
def desk(place, app):
    desk = Desk(app, place)
    yield desk
    desk.close()


def test_a_message_that_waited_until_its_run_was_over_begins_nothing(
    run, desk, announce, redis, place
):
    one = run()
    one.begin(X, nothing())
    redis.delete(keys.pulse("fridge", one.tuid))
    assert desk.follow(announce(one.container, why="write")) is None
    assert not folder_of(place, one).path.exists()


def test_a_written_run_is_sent_to_the_live_queue_once(
    run, app, sent, place, announce, settings
):
    one = run()
    one.begin(X, nothing())
    for _ in range(3):
        message = announce(one.container, why="write")
        announcements.on_announcement(app, place, message)
    follows = [task for task in sent if task[0] == queues.FOLLOW]
    assert follows == [(queues.FOLLOW, "live", one.tuid)]


def test_a_source_with_a_queue_of_its_own_has_its_runs_followed_there(
    run, app, sent, place, announce, settings
):
    source = settings.sources[0].model_copy(update={"queue": "fridge_1"})
    object.__setattr__(
        place, "settings", settings.model_copy(update={"sources": (source,)})
    )
    one = run()
    one.begin(X, nothing())
    message = announce(one.container, why="write")
    announcements.on_announcement(app, place, message)
    assert (queues.FOLLOW, "live.fridge_1", one.tuid) in sent


def test_a_worker_that_starts_takes_up_what_the_killed_one_followed(
    run, follow, states, desk, sent, finished
):
    finished()
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    desk.resume()
    assert sent == [(queues.FOLLOW, "live", one.tuid)]


def test_a_worker_that_starts_leaves_what_newer_workers_said_to_them(
    run, app, desk, sent, place, announce, redis
):
    one = run()
    one.begin(X, nothing())
    announcements.on_announcement(app, place, announce(one.container, why="write"))
    sent.clear()
    marks.claim_follow(redis, "fridge", "1-newer", '{"version": 99}', queues.LIVE)
    marks.claim_follow(redis, "fridge", "0-nonsense", "no JSON", queues.LIVE)
    desk.resume()
    assert sent == [(queues.FOLLOW, "live", one.tuid)]


def test_a_worker_that_starts_sends_a_task_again_that_was_lost_with_another(
    run, app, desk, sent, place, announce
):
    one = run()
    one.begin(X, nothing())
    announcements.on_announcement(app, place, announce(one.container, why="write"))
    sent.clear()
    desk.resume()
    assert sent == [(queues.FOLLOW, "live", one.tuid)]


def test_a_run_whose_lease_a_dead_follower_has_is_taken_when_that_runs_out(
    run, follow, states, redis
):
    """No write may come for minutes, so the task itself waits."""
    one = run()
    one.begin(X, nothing())
    redis.set(keys.follow("fridge", one.tuid), "dead", px=1500)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))


def test_a_run_that_another_machine_follows_is_left_to_it_without_a_trace(
    run, desk, announce, redis, place, monkeypatch
):
    monkeypatch.setattr("workers.live.desk.DEAD_SECONDS", 0.5)
    one = run()
    one.begin(X, nothing())
    redis.set(keys.follow("fridge", one.tuid), "another", px=60_000)
    assert desk.follow(announce(one.container, why="write")) is None
    assert not folder_of(place, one).path.exists()


def test_a_run_that_has_its_follower_waits_for_none(run, follow, states, redis):
    one = run()
    one.begin(X, nothing())
    marks.claim_follow(redis, "fridge", one.tuid, "{}", queues.LIVE)
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    assert marks.waiting_for_follower(redis, "fridge") == {}


def test_following_that_breaks_down_is_not_tried_again_at_once(
    run, app, sent, desk, place, announce, monkeypatch, redis
):
    one = run()
    one.begin(X, nothing())
    message = announce(one.container, why="write")

    def fail(*_, **__):
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr("workers.live.desk.XArrayReplicator", fail)
    with pytest.raises(RuntimeError):
        desk.follow(message)
    assert redis.get(keys.follow("fridge", one.tuid)) is None
    announcements.on_announcement(app, place, message)
    assert queues.FOLLOW not in {name for name, _, _ in sent}
    waiting = marks.waiting_for_follower(redis, "fridge")
    assert json.loads(waiting[one.tuid])["tuid"] == one.tuid
    assert 0 < redis.pttl(keys.follow_queued("fridge", one.tuid)) <= 60_000


def test_a_run_whose_drive_was_away_when_it_was_to_be_followed_is_soon_wanted_again(
    run, desk, announce, monkeypatch, redis
):
    one = run()
    one.begin(X, nothing())
    message = announce(one.container, why="write")
    assert marks.claim_follow(
        redis, "fridge", one.tuid, message.model_dump_json(), queues.LIVE
    )

    def fail(*_):
        raise SourceUnavailableError("not mounted")

    monkeypatch.setattr(Desk, "_begun", fail)
    with pytest.raises(SourceUnavailableError):
        desk.follow(message)
    assert marks.waiting_for_follower(redis, "fridge") == {}


# What is told -----------------------------------------------------------------------


def test_how_far_a_run_is_can_be_read_while_nothing_changes(
    run, follow, states, redis, monkeypatch
):
    """What is told expires, so it is told again and again."""
    monkeypatch.setattr("workers.live.switchboard.RENEWAL", 0.2)
    monkeypatch.setattr("workers.live.switchboard.HOUSEKEEPING", 0.05)
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    one.write(X, values(1))
    states.wait_for(lambda: follower.is_at(one))
    name = keys.progress("fridge", one.tuid)
    states.wait_for(lambda: redis.exists(name))
    redis.delete(name)
    states.wait_for(lambda: redis.exists(name))
    progress = presence.read_progress(redis, "fridge")[one.tuid]
    assert (progress.state, progress.filled, progress.total) == ("live", 1, 4)


def test_progress_is_handed_to_who_asked_for_it(
    run, states, place, announce, app, monkeypatch
):

    monkeypatch.setattr("workers.live.switchboard.RENEWAL", 0.1)
    monkeypatch.setattr("workers.live.switchboard.HOUSEKEEPING", 0.05)
    one = run()
    one.begin(X, nothing())
    told = []
    desk = Desk(app, place)
    message = announce(one.container, why="write")
    thread = threading.Thread(
        target=desk.follow, args=(message,), kwargs={"tell": told.append}
    )
    thread.start()
    one.write(X, values(2))
    states.wait_for(lambda: told and told[-1].filled == 2)
    desk.close()
    thread.join(20)
    assert not thread.is_alive()


def test_a_pause_sends_the_follower_away_and_after_it_the_run_is_followed_on(
    run, follow, place, states
):
    one = run()
    one.begin(X, nothing())
    one.write(X, values(1))
    first = follow(one)
    states.wait_for(lambda: first.is_at(one))
    pauses.tell(place.redis, {"fridge": PAUSE})
    assert first.join() is None
    one.write(X, values(2))
    assert follow(one).join() is None, "it is not begun while the source is paused"
    name = keys.follow("fridge", one.tuid)
    assert not place.redis.exists(name)
    assert marks.waiting_for_follower(place.redis, "fridge") == {}
    assert place.redis.llen(queues.LIVE) == 0, "it was not handed on"

    pauses.tell(place.redis, {"fridge": None})
    second = follow(one)
    states.wait_for(lambda: second.is_at(one))
    one.close(X, values())
    assert second.join() == "filled"


def test_nonsense_on_a_channel_deafens_nobody(run, follow, states, redis):
    one = run()
    one.begin(X, nothing())
    follower = follow(one)
    states.wait_for(lambda: follower.is_at(one))
    wrong = '{"tuid": {}, "folder": [], "at": "x"}'
    for text in (b"\xff\xfe", b"[" * 50_000, wrong, '{"at": null}', "[1]"):
        redis.set(keys.newest("fridge"), text)
        for channel in (keys.newest("fridge"), keys.wake("fridge", one.tuid)):
            assert redis.publish(channel, text) >= 1
    pauses.tell(redis, {"fridge": PAUSE})
    assert follower.join() is None
    assert redis.pubsub_numpat() == 2
