"""How a real ovs-vswitchd takes new keys: the reason why the SSL row changes in one step."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.pki.ovs_support import Switch, set_ssl
from tests.support.waiting import wait_until
from vpcctl.pki import certificates, keys, tls
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.files import Credentials, CredentialStore, Material

HOST = "host-0a1b2c3d4e5f60718"
DEADLINE_S = 20.0

pytestmark = pytest.mark.ovs


class Listener:
    """The controller's end: says which certificate the switch shows."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(DEADLINE_S)

    @property
    def target(self) -> str:
        return f"ssl:127.0.0.1:{self._socket.getsockname()[1]}"

    def next_serial(self) -> str:
        """Accept one connection, read its hello, close it, and return the serial it showed."""
        plain, _ = self._socket.accept()
        plain.settimeout(DEADLINE_S)
        with self._context.wrap_socket(plain, server_side=True) as secure:
            assert secure.recv(8)
            identity = certificates.host_identity(secure.getpeercert(binary_form=True) or b"")
        assert identity.host_id == HOST
        return identity.serial

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def controller(tmp_path) -> PkiDirectory:
    directory = PkiDirectory(tmp_path / "controller")
    directory.initialise(["127.0.0.1"], now=datetime.now(UTC))
    return directory


@pytest.fixture
def listener(controller) -> Iterator[Listener]:
    context = tls.server_context(controller.server(), client_certificate_required=True)
    listener = Listener(context)
    yield listener
    listener.close()


@pytest.fixture
def install(controller, tmp_path) -> Callable[[int], tuple[Credentials, str]]:
    """Return a function that gives the host a new certificate, *age* seconds younger."""
    store = CredentialStore(tmp_path / "host")

    def make(age: int) -> tuple[Credentials, str]:
        authority, key = controller.authority(), keys.new_key()
        now = datetime.now(UTC) + timedelta(seconds=age)
        leaf = authority.issue_host(key.public_key(), HOST, now=now)
        ca = certificates.to_pem(authority.certificate)
        material = Material(keys.key_to_pem(key), certificates.to_pem(leaf), ca)
        return store.install(material), certificates.serial_of(leaf)

    return make


def connect(switch: Switch, listener: Listener) -> None:
    bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy"]
    switch.vsctl(*bridge, "--", "set-controller", "br0", listener.target)
    backoff = ["set", "controller", "br0", "max_backoff=1000", "inactivity_probe=1000"]
    switch.vsctl(*backoff)


def test_a_new_generation_told_in_one_transaction_is_used_at_the_next_connection(
    switch, listener, install
):
    credentials, serial = install(0)
    set_ssl(switch, credentials)
    connect(switch, listener)
    assert listener.next_serial() == serial
    credentials, renewed = install(1)
    set_ssl(switch, credentials)
    assert renewed != serial
    assert listener.next_serial() == renewed


def test_a_row_that_somebody_changed_in_two_steps_is_healed_by_the_next_generation(
    switch, listener, install
):
    credentials, serial = install(0)
    set_ssl(switch, credentials)
    connect(switch, listener)
    assert listener.next_serial() == serial
    # OVS 3.1 goes on with the old certificate after this.
    credentials, _ = install(1)
    switch.vsctl("set", "ssl", ".", f'private_key="{credentials.key}"')
    switch.vsctl("set", "ssl", ".", f'certificate="{credentials.certificate}"')
    listener.next_serial()
    credentials, renewed = install(2)
    set_ssl(switch, credentials)
    wait_until(lambda: listener.next_serial() == renewed, what="the new certificate")


def test_a_switch_with_a_stranger_s_certificate_does_not_get_in(
    switch, listener, install, tmp_path
):
    stranger = PkiDirectory(tmp_path / "stranger")
    stranger.initialise(["127.0.0.1"], now=datetime.now(UTC))
    key = keys.new_key()
    leaf = stranger.authority().issue_host(key.public_key(), HOST, now=datetime.now(UTC))
    # It trusts our controller, but its own certificate comes from elsewhere.
    ours = install(0)[0].ca.read_text()
    material = Material(keys.key_to_pem(key), certificates.to_pem(leaf), ours)
    set_ssl(switch, CredentialStore(tmp_path / "foreign").install(material))
    connect(switch, listener)
    with pytest.raises(ssl.SSLError):
        listener.next_serial()
