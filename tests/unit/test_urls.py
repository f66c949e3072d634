"""No password is ever shown, whatever is in it."""

from __future__ import annotations

import pytest

from shared.urls import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@lab:6379/0", "redis://:***@lab:6379/0"),
        ("redis://:hun@ter2@lab", "redis://:***@lab"),
        ("redis://:hun/ter 2@lab/0", "redis://:***@lab/0"),
        ("redis://:hun://ter2@lab", "redis://:***@lab"),
        ("redis://:hun?ter#2@lab", "redis://:***@lab"),
        ("postgresql://ada@lab:hunter2@db/sync", "postgresql://ada@lab:***@db/sync"),
        (
            "s3://b?secret_access_key=hunter2&region=x",
            "s3://b?secret_access_key=***&region=x",
        ),
        ("https://b/o?sv=1&sig=hunter2", "https://b/o?sv=1&sig=***"),
        ("https://b/o?X-Amz-Signature=hunter2", "https://b/o?X-Amz-Signature=***"),
        (
            "https://b/o?X-Amz-Credential=hunter2/x&a=b",
            "https://b/o?X-Amz-Credential=***&a=b",
        ),
    ],
)
def test_a_password_is_hidden_whatever_is_in_it(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "redis://127.0.0.1:6379/0",
        "file:///srv/quantify",
        "s3://bucket/prefix?region=eu&design=x",
        "postgresql+psycopg://ada@db/sync",
        "Error 111 connecting to redis://lab:6379. Connection refused.",
    ],
)
def test_what_is_no_secret_stays(text):
    assert without_password(text) == text


def test_each_url_of_a_text_is_cleaned_and_the_rest_stays():
    text = "from redis://:hunter2@a to 'postgresql://ada:hunter2@b/sync', not reached"

    assert (
        without_password(text)
        == "from redis://:***@a to 'postgresql://ada:***@b/sync', not reached"
    )
