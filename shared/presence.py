"""Who is there and what happens just now: pulses, newest container, agents, leases.

All of it expires or is renewed all the time; losing it costs a moment, no data.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from pydantic import ValidationError

from shared import keys
from shared.hints import read_hint
from shared.models import Hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

QUIET_SECONDS = 120.0
"""A run that was not written for so long is quiet (design, section 7)."""
PROGRESS_SECONDS = 15
"""Progress is told every 3 s while a run is followed, so this outlives a moment."""
AGENT_SECONDS = 30
"""A producer without a sign of life for so long counts as gone."""
HEARD_SECONDS = 7 * 86_400
"""For so long it is known where a producer was that is gone."""
LEASE_SECONDS = 10

_RENEW = """
if redis.call('get', KEYS[1]) == ARGV[1] then
  return redis.call('expire', KEYS[1], ARGV[2])
end
return 0
"""
_HOLD = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0
"""


class Agent(Hint):
    """A producer's sign of life, for one source.

    Attributes
    ----------
    host, pid, version
        Where it runs and what it is.
    clock
        Its time, seconds since 1970.
    started
        When it started, by the same clock.
    swept
        Whether its first sweep is done.
    datasets
        Datasets that its last whole sweep saw, and those that appeared since.
    unanswered, failed, live, outstanding
        Datasets without an answer, refused, written within the quiet time, and
        announced but not answered.
    unsettled
        Datasets that a `--once` still waits for.
    oldest
        Since when the longest unanswered dataset waits, seconds since 1970.
    last_event
        When it last saw a change, seconds since 1970.
    duplicates, strays
        What is not synced: second containers of a TUID, and what is no day, no
        container or no dataset, with the reason. The first few of each.
    duplicate_count, stray_count
        How many there are in all.
    sweeps_after_loss
        How often it swept because events were lost.
    message
        What it would like a person to know.
    """

    host: str
    pid: int
    version: str
    clock: float
    started: float
    swept: bool = False
    datasets: int = 0
    unanswered: int = 0
    failed: int = 0
    live: int = 0
    outstanding: int = 0
    unsettled: int = 0
    oldest: float | None = None
    last_event: float | None = None
    duplicates: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    duplicate_count: int = 0
    stray_count: int = 0
    sweeps_after_loss: int = 0
    message: str = ""


class Progress(Hint):
    """How far a followed run is.

    Attributes
    ----------
    state
        `live` or `complete`.
    filled, total
        Points measured and points of its file.
    rate
        Points a second lately; 0 while unknown.
    end
        When it will be done at that rate, seconds since 1970, the live worker's clock.
    updated
        When its last points came, by the same clock.
    """

    state: str
    filled: int
    total: int
    rate: float
    end: float | None
    updated: float


class Newest(NamedTuple):
    """The container that a producer saw created last, and when (its clock, s)."""

    tuid: str
    folder: str
    at: float


class Heard(NamedTuple):
    """Where a producer gave its last sign of life, and how long ago, s."""

    host: str
    age: float


class Pulse(NamedTuple):
    """What is told of a write: `send_pulse`; `at` is the producer's clock, s."""

    size: int
    mtime_us: int
    writes: int
    at: float


def read_pulse(text: str) -> Pulse | None:
    """Read what was told of a write; None for what can't be read."""
    return read_hint(Pulse, text)


def send_pulse(
    redis: Redis,
    source: str,
    tuid: str,
    *,
    size: int,
    mtime_us: int,
    writes: int = 0,
    quiet: float = QUIET_SECONDS,
) -> bool:
    """Tell that a `dataset.hdf5` has just been written.

    Parameters
    ----------
    redis
        Where.
    source, tuid
        Which run.
    size, mtime_us
        Of the file, bytes and µs since 1970.
    writes
        How many writes this producer has seen, this one included; 0 where it repeats
        what it told.
    quiet
        For how long this counts as a sign of life, s.

    Returns
    -------
    bool
        Whether a follower has the run.
    """
    pulse = Pulse(size=size, mtime_us=mtime_us, writes=writes, at=time.time())
    value = json.dumps(pulse._asdict())
    with redis.pipeline(transaction=False) as pipe:
        pipe.set(keys.pulse(source, tuid), value, px=round(quiet * 1000))
        pipe.publish(keys.wake(source, tuid), value)
        pipe.exists(keys.follow(source, tuid))
        return bool(pipe.execute()[-1])


def uploading(redis: Redis, source: str, tuids: Sequence[str]) -> set[str]:
    """Tell which of these datasets a worker is uploading."""
    if not tuids:
        return set()
    found = redis.mget([keys.upload(source, tuid) for tuid in tuids])
    return {tuid for tuid, value in zip(tuids, found, strict=True) if value}


class Now(NamedTuple):
    """What goes on at a source.

    Attributes
    ----------
    running
        Datasets, of those asked about, that were written within the quiet time.
    followed
        Those of them that a live worker follows.
    newest
        TUID of the container that was created last; None while none was.
    told
        A producer is there: that a run has no sign of life means something.
    """

    running: set[str]
    followed: set[str]
    newest: str | None
    told: bool


def read_now(redis: Redis, source: str, tuids: Sequence[str]) -> Now:
    """Read what goes on at a source, in one round trip."""
    pulses = [keys.pulse(source, tuid) for tuid in tuids]
    follows = [keys.follow(source, tuid) for tuid in tuids]
    agent, text, *found = redis.mget(
        [keys.agent(source), keys.newest(source), *pulses, *follows]
    )
    pulsed, leased = found[: len(tuids)], found[len(tuids) :]
    running = {tuid for tuid, value in zip(tuids, pulsed, strict=True) if value}
    followed = {tuid for tuid, value in zip(tuids, leased, strict=True) if value}
    newest = parse_newest(text)
    return Now(running, followed, newest.tuid if newest else None, bool(agent))


def write_newest(redis: Redis, source: str, newest: Newest) -> None:
    """Tell which container was created last."""
    with redis.pipeline(transaction=False) as pipe:
        text = json.dumps(newest._asdict())
        pipe.set(keys.newest(source), text)
        pipe.publish(keys.newest(source), text)
        pipe.execute()


def clear_newest(redis: Redis, source: str) -> None:
    """Tell that it is not known which container was created last."""
    redis.delete(keys.newest(source))


def read_newest(redis: Redis, source: str) -> Newest | None:
    """Read which container was created last; what can't be read counts as none."""
    return parse_newest(redis.get(keys.newest(source)))


def parse_newest(text: str | bytes | None) -> Newest | None:
    """Read what `write_newest` told; what can't be read counts as none."""
    return read_hint(Newest, text)


def write_agent(redis: Redis, source: str, agent: Agent) -> None:
    """Give a sign of life."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.set(keys.agent(source), agent.model_dump_json(), ex=AGENT_SECONDS)
        pipe.set(keys.heard(source), agent.host, ex=HEARD_SECONDS)
        pipe.execute()


def last_heard(redis: Redis, source: str) -> Heard | None:
    """Tell where a producer was heard last, however long ago within a week."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.get(keys.heard(source))
        pipe.pttl(keys.heard(source))
        host, left = pipe.execute()
    # By Redis' clock alone.
    return Heard(str(host), HEARD_SECONDS - left / 1000) if host else None


def read_agent(redis: Redis, source: str) -> Agent | None:
    """Read a producer's last sign of life; None when it is gone."""
    text = redis.get(keys.agent(source))
    try:
        return Agent.model_validate_json(text) if text else None
    except ValidationError:
        return None  # of a version that lacks what is needed here; it can't be told


def with_agents(redis: Redis, sources: Sequence[str]) -> set[str]:
    """Tell which of these sources have a producer that gave a sign of life."""
    if not sources:
        return set()
    found = redis.mget([keys.agent(source) for source in sources])
    return {name for name, text in zip(sources, found, strict=True) if text}


def write_progress(redis: Redis, progress: Mapping[tuple[str, str], Progress]) -> None:
    """Tell how far runs are, by source and TUID."""
    with redis.pipeline(transaction=False) as pipe:
        for (source, tuid), one in progress.items():
            pipe.set(
                keys.progress(source, tuid), one.model_dump_json(), ex=PROGRESS_SECONDS
            )
        pipe.execute()


def read_progress(redis: Redis, source: str) -> dict[str, Progress]:
    """Read how far the runs of a source are, by TUID."""
    names = sorted(redis.scan_iter(keys.progress(source, "*"), count=1000))
    found: dict[str, Progress] = {}
    for name, text in zip(names, redis.mget(names) if names else (), strict=True):
        try:
            if text:
                found[name.rpartition(":")[2]] = Progress.model_validate_json(text)
        except ValidationError:
            continue  # a live worker of another version
    return found


def acquire(redis: Redis, names: Sequence[str]) -> dict[str, str]:
    """Take leases.

    Correctness never rests on a lease: it only spares double work.

    Returns
    -------
    dict
        Key → token to renew and release it with, for those that nobody else holds.
    """
    if not names:
        return {}
    tokens = {name: uuid4().hex for name in names}
    with redis.pipeline(transaction=False) as pipe:
        for name, token in tokens.items():
            pipe.set(name, token, nx=True, ex=LEASE_SECONDS)
        taken = pipe.execute()
    return {
        name: token
        for (name, token), ours in zip(tokens.items(), taken, strict=True)
        if ours
    }


def hold(redis: Redis, held: dict[str, str]) -> set[str]:
    """Take or keep leases whose tokens were chosen by the caller.

    Unlike `renew`, this takes a lease again that Redis has forgotten.

    Returns
    -------
    set
        Keys that are the caller's now.
    """
    with redis.pipeline(transaction=False) as pipe:
        for name, token in held.items():
            pipe.eval(_HOLD, 1, name, token, LEASE_SECONDS)
        ours = pipe.execute()
    return {name for name, mine in zip(held, ours, strict=True) if mine}


def renew(redis: Redis, held: dict[str, str]) -> None:
    """Keep leases; one that was lost to another is left to it."""
    _for_each(redis, _RENEW, held)


def release(redis: Redis, held: dict[str, str]) -> None:
    """Give leases back, unless they have become another's."""
    _for_each(redis, _RELEASE, held)


def _for_each(redis: Redis, script: str, held: dict[str, str]) -> None:
    if held:
        with redis.pipeline(transaction=False) as pipe:
            for name, token in held.items():
                pipe.eval(script, 1, name, token, LEASE_SECONDS)
            pipe.execute()
