"""The address that the controller is reached from."""

import pytest

from agent.decide.underlay import vtep
from agent.towards import source_address


@pytest.mark.parametrize(
    "api_url",
    [
        "unix:/run/vpcctl/api.sock",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "https://localhost:8443",
        "http://127.0.0.1:port",
        "https://",
        "nothing",
        "",
    ],
)
def test_nothing_that_other_hosts_could_reach_is_no_address(api_url: str) -> None:
    assert source_address(api_url) is None


def test_the_preferred_address_is_taken_where_the_host_has_it() -> None:
    addresses = (("2001:db8::7", 64), ("192.0.2.7", 24), ("192.0.2.8", 24))
    assert vtep(addresses, preferred="192.0.2.8") == "192.0.2.8"
    assert vtep(addresses, preferred="2001:db8::7") == "2001:db8::7"
    assert vtep(addresses, preferred="198.51.100.1") == "192.0.2.7"
    assert vtep(addresses, preferred=None) == "192.0.2.7"
    assert vtep((), preferred="192.0.2.8") is None
