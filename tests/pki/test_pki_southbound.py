"""Certificates at the southbound: real ovs-vswitchd, real TLS, a real database."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import pki as agent_pki
from tests.pki.ovs_support import Switch, set_ssl
from vpcctl.pki import certificates, csr, keys
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.files import Credentials, CredentialStore, Material
from vpcctl.pki.keeper import ServerKeeper
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.services.views import Actor, HostCreate, HostView
from vpcctl.southbound.main import Southbound, SouthboundConfig
from vpcctl.southbound.network_program import NetworkProgram
from vpcctl.store.certificates import CertificateStore
from vpcctl.store.database import Database
from vpcctl.store.feed import Feed
from vpcctl.store.realisation import RealisationStore

ADMIN = Actor("admin")
DEADLINE_S = 30.0

pytestmark = pytest.mark.ovs


class Tls:
    """What the southbound's process makes of the PKI directory."""

    def __init__(self, directory: PkiDirectory) -> None:
        self._keeper = ServerKeeper(directory, renews=False)

    def context(self):
        return self._keeper.context(client_certificate_required=True)

    def reload(self) -> bool:
        return self._keeper.reload()


class Installation:
    """Services, an authority, and a southbound on TLS in the test's event loop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pki = PkiDirectory(directory / "pki")
        self.pki.initialise(["127.0.0.1"], now=datetime.now(UTC))
        self.database = Database.open(f"sqlite:///{directory}/vpcctl.db")
        self.database.upgrade()
        self.services = Services(self.database, settings=ServiceSettings(pki_dir=self.pki.path))
        config = SouthboundConfig("", directory, listen=("ssl:127.0.0.1:0",), tls=Tls(self.pki))
        self.southbound = Southbound(
            config,
            Feed(self.database),
            RealisationStore(self.database),
            NetworkProgram(),
            certificates=CertificateStore(self.database),
        )

    @property
    def target(self) -> str:
        return self.southbound.listeners.addresses[0]

    def new_host(self, name: str) -> HostView:
        return self.services.hosts.create(ADMIN, HostCreate(name))

    def enroll(self, host: HostView) -> Credentials:
        token = self.services.pki.create_enrollment(ADMIN, host.meta.id)[1]
        key = keys.new_key()
        issued = self.services.pki.enroll(token, csr.make_csr(key, "machine")).issued
        store = agent_pki.open_store(self.directory / host.meta.name)
        pem = keys.key_to_pem(key)
        return store.install(Material(pem, issued.certificate, issued.ca_certificate))

    def is_connected(self, host: HostView) -> bool:
        found = self.services.hosts.get(ADMIN, host.meta.id)
        return found.connection == "in_sync"

    def events(self) -> str:
        return "\n".join(event.detail for event in self.services.events.since(ADMIN, (0, 0)))


@contextlib.asynccontextmanager
async def installation(directory: Path) -> AsyncIterator[Installation]:
    made = Installation(directory)
    try:
        await made.southbound.start()
        yield made
    finally:
        await made.southbound.stop()
        made.database.close()


async def eventually(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)
    assert condition(), what


def plug_in(switch: Switch, host: HostView, target: str) -> None:
    dpid = f"other-config:datapath-id={host.dpid:016x}"
    switch.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", dpid)
    switch.vsctl("set", "bridge", "br0", "fail-mode=secure", "protocols=OpenFlow14,OpenFlow15")
    switch.vsctl("set-controller", "br0", target)
    switch.vsctl("set", "controller", "br0", "max_backoff=1000")


def test_a_host_is_accepted_until_it_is_revoked_and_again_when_enrolled_anew(tmp_path, switch):
    async def run() -> None:
        async with installation(tmp_path) as here:
            host = here.new_host("hv-1")
            set_ssl(switch, here.enroll(host))
            plug_in(switch, host, here.target)
            await eventually(lambda: here.is_connected(host), "accepted")
            here.services.pki.revoke(ADMIN, host.meta.id)
            await eventually(lambda: not here.is_connected(host), "dropped")
            await eventually(lambda: "certificate that is void" in here.events(), "refused")
            assert not here.is_connected(host)
            set_ssl(switch, here.enroll(host))
            await eventually(lambda: here.is_connected(host), "accepted again")

    asyncio.run(run())


def test_another_hosts_certificate_does_not_open_this_hosts_datapath(tmp_path, switch):
    async def run() -> None:
        async with installation(tmp_path) as here:
            host, other = here.new_host("hv-1"), here.new_host("hv-2")
            set_ssl(switch, here.enroll(other))
            plug_in(switch, host, here.target)
            await eventually(lambda: "shows the certificate of" in here.events(), "refused")
            assert not here.is_connected(host)

    asyncio.run(run())


def test_a_certificate_that_is_not_in_the_database_is_refused(tmp_path, switch):
    async def run() -> None:
        async with installation(tmp_path) as here:
            host = here.new_host("hv-1")
            # Signed by the right authority, but not by this database: a restored copy, a thief.
            authority, key = here.pki.authority(), keys.new_key()
            now = datetime.now(UTC)
            leaf = authority.issue_host(key.public_key(), host.meta.id, now=now)
            material = Material(
                keys.key_to_pem(key),
                certificates.to_pem(leaf),
                certificates.to_pem(authority.certificate),
            )
            set_ssl(switch, CredentialStore(tmp_path / "forged").install(material))
            plug_in(switch, host, here.target)
            await eventually(lambda: "certificate that is void" in here.events(), "refused")
            assert not here.is_connected(host)

    asyncio.run(run())


def test_a_void_certificate_is_told_whatever_datapath_id_comes_with_it(tmp_path, switch):
    async def run() -> None:
        async with installation(tmp_path) as here:
            host = here.new_host("hv-1")
            set_ssl(switch, here.enroll(host))
            here.services.pki.revoke(ADMIN, host.meta.id)
            plug_in(switch, dataclasses.replace(host, dpid=0x1234), here.target)
            await eventually(lambda: "certificate that is void" in here.events(), "refused")
            assert "unknown host" not in here.events()

    asyncio.run(run())
