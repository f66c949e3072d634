"""What the processes of a stack are told."""

from __future__ import annotations

import pytest

from quantify_sync.stack import METRICS_VARIABLE, Stack
from shared.settings import Settings


@pytest.mark.parametrize(
    ("port", "ports"),
    [(9101, ["9101", "9102", "9103", "9104", "9105"]), (0, ["0"] * 5)],
)
def test_each_process_has_a_port_of_its_own_for_metrics(
    tmp_path, monkeypatch, port, ports
):
    monkeypatch.setenv(METRICS_VARIABLE, str(port))
    stack = Stack(
        Settings(data_dir=tmp_path), tmp_path / "file", broker_url="redis://nowhere"
    )
    started = []
    monkeypatch.setattr(stack.supervisor, "add", started.append)
    stack.start(workers=1)
    assert [child.environment[METRICS_VARIABLE] for child in started] == ports
