"""What is made of a dashboard's answers and address."""

from __future__ import annotations

import pytest

from deploy.cluster.dashboard import check_address, is_loopback, shorten_message
from gaelp_rl.errors import ConfigError


def test_message__of_a_failed_job_does_not_repeat_its_log():
    """As Ray 2.60 words it."""
    message = "Job entrypoint command failed with exit code 2, last available logs (truncated to 20,000 chars):\nlog"
    assert shorten_message(message) == "Job entrypoint command failed with exit code 2"
    assert shorten_message("Job was intentionally stopped.") == "Job was intentionally stopped."
    assert shorten_message(None) == ""


@pytest.mark.parametrize(
    ("address", "url", "is_here"),
    [
        ("127.0.0.1:8265", "http://127.0.0.1:8265", True),
        ("https://ray.example.com/", "https://ray.example.com", False),
        ("http://[::1]:80", "http://[::1]:80", True),
    ],
)
def test_address__gets_a_scheme_and_loses_its_slash(address, url, is_here):
    assert check_address(address) == url
    assert is_loopback(url) is is_here


def test_address__with_a_secret_in_it_is_refused():
    with pytest.raises(ConfigError, match="expected the dashboard's URL"):
        check_address("https://token@ray.example.com")
