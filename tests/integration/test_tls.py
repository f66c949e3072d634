"""Redis behind TLS with an authority of the lab's own: `docker-compose.tls.yml`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kombu import pools

from producer.announcer import Announcer
from producer.record import Place, Record
from producer.seen import Seen
from quantify_sync import check
from shared import broker, queues
from shared.errors import BrokerUnavailableError

ROOT = Path(__file__).parents[2]
STARTING = 60  # seconds for a worker to come up on a busy machine
TUID = "20260302-015602-771-e40978"


class Authority:
    """A certificate authority that signs certificates of servers."""

    def __init__(self, name, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(
            self._name,
            self._key.public_key(),
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (
                x509.KeyUsage(
                    digital_signature=False,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                True,
            ),
        )
        self.file = self._write(f"{name}.pem", certificate)

    def issue(self, name, *hosts):
        """Make a server's certificate and key, PEM files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(
            subject,
            key.public_key(),
            (x509.SubjectAlternativeName(hosts), False),
        )
        file = self._folder / f"{name}.key"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return self._write(f"{name}.pem", certificate), file

    def _sign(self, subject, key, *extensions):
        now = datetime.now(UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name, certificate):
        file = self._folder / name
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return file


@pytest.fixture(scope="module")
def tls(start_redis, tmp_path_factory, dot_env, needs):
    """A server with what `docker-compose.tls.yml` says, and how to reach it."""
    program = shutil.which("redis-server")
    needs(program, "redis-server")  # the server that comes by pip knows no TLS
    folder = tmp_path_factory.mktemp("tls")
    ours = Authority("ca", folder)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    ours.issue("redis", x509.DNSName("redis"), address)
    stranger = Authority("stranger", tmp_path_factory.mktemp("stranger"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = yaml.safe_load((ROOT / "docker-compose.tls.yml").read_text("utf-8"))
    service = file["services"]["redis"]
    assert service["ports"] == ["${REDIS_TLS_BIND:-0.0.0.0}:6380:6380"]
    told = service["command"].replace("${REDIS_MAXMEMORY:-8gb}", "8gb")
    command = told.replace("6380", str(port))
    start_redis(
        folder,
        program=program,
        command=command,
        paths={"/tls": folder},
        unknown="+client|setinfo",  # before Redis 7.2, which Debian 12 has
    )

    def url(user, *, authority=ours.file, host="127.0.0.1"):
        password = dot_env[f"REDIS_{user.upper()}_PASSWORD"]
        end = f"?ssl_ca_certs={authority}" if authority else ""
        return f"rediss://{user}:{password}@{host}:{port}/0{end}"

    return SimpleNamespace(url=url, stranger=stranger.file)


@pytest.fixture(autouse=True)
def _new_connections():
    """Kombu takes connections of one process as alike, whatever they trust."""
    pools.reset()
    yield
    pools.reset()


@pytest.fixture
def record():
    seen = Seen(TUID, f"20260302/{TUID}-grid_2d", "f" * 32, 1, 1, 1)
    return Record(TUID, seen.folder, 0.0, 1.0, 1.0, Place.FRESH, seen=seen)


def test_a_worker_takes_what_a_producer_announces(
    tls, record, tmp_path, quantify_directory
):
    config = tmp_path / "quantify-sync.toml"
    config.write_text(
        f"broker = {json.dumps(tls.url('worker'))}\n"
        f"data_dir = {json.dumps(str(tmp_path / 'data'))}\n"
        '[[sources]]\nname = "fridge"\nset_up = "fridge"\n'
        f"quantify_directory = {json.dumps(str(quantify_directory))}\n"
    )
    arguments = ["--name", "events", "--queues", "events", "--pool", "threads"]
    announcer = Announcer(tls.url("producer"), "fridge")
    with (
        broker.connect(tls.url("worker")) as redis,
        (tmp_path / "worker.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "quantify_sync", "worker", *arguments],
            env={**os.environ, "QUANTIFY_SYNC_CONFIG": str(config)},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as worker,
    ):
        try:
            assert announcer.pulse(TUID, size=1, mtime_us=1, writes=1, quiet=9) is False
            announcer.announce(record)
            assert redis.llen(queues.EVENTS) == 1
            deadline = time.monotonic() + STARTING
            while redis.llen(queues.UPLOADS) == 0:
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert redis.llen(queues.EVENTS) == 0
        finally:
            worker.kill()
            announcer.close()


def test_a_strangers_certificate_is_refused_with_a_remedy(tls, record):
    for authority in (tls.stranger, None):  # None: those that this machine trusts
        announcer = Announcer(tls.url("producer", authority=authority), "fridge")
        for say in (announcer.mark, lambda: announcer.announce(record)):  # noqa: B023 - called within the round
            with pytest.raises(BrokerUnavailableError) as told:
                say()
            assert "is not trusted" in str(told.value)
            assert "?ssl_ca_certs=/path/of/ca.pem" in str(told.value)
            assert "***@127.0.0.1" in str(told.value)
        announcer.close()


def test_a_certificate_of_another_host_is_refused(tls, record):
    announcer = Announcer(tls.url("producer", host="localhost"), "fridge")
    for say in (announcer.mark, lambda: announcer.announce(record)):
        with pytest.raises(BrokerUnavailableError, match="the host as its certificate"):
            say()
    announcer.close()


def test_check_tells_the_remedy(tls, monkeypatch, tmp_path):
    monkeypatch.setenv("QUANTIFY_SYNC_DATA_DIR", str(tmp_path))
    for authority, good in ((tls.stranger, False), (None, False), (..., True)):
        given = {} if authority is ... else {"authority": authority}
        monkeypatch.setenv("QUANTIFY_SYNC_BROKER", tls.url("worker", **given))
        (found,) = [f for f in check.check() if f.subject == "broker"]
        assert found.good is good
        assert ("ssl_ca_certs" in found.told) is (not good or given == {})
