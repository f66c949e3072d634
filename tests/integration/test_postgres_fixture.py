"""PostgreSQL for the tests: may be missing on a developer's machine, never in CI."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def services(request):
    """The `conftest.py` of all tests, as pytest imported it."""
    mine = Path(__file__).parents[1] / "conftest.py"
    plugins = request.config.pluginmanager.get_plugins()
    return next(p for p in plugins if getattr(p, "__file__", None) == str(mine))


@pytest.mark.parametrize(
    ("in_ci", "outcome"),
    [(True, pytest.fail.Exception), (False, pytest.skip.Exception)],
)
def test_root_without_another_user_fails_in_ci_and_skips_elsewhere(
    services, monkeypatch, tmp_path, in_ci, outcome
):
    def no_such_user(*_):
        raise LookupError

    monkeypatch.setattr(services, "IN_CI", in_ci)
    monkeypatch.setattr(services.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(services.shutil, "chown", no_such_user)

    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception)) as ended:
        services._give_away(tmp_path)

    assert ended.type is outcome
