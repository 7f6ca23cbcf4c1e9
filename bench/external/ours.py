"""Our way outside, through the persistent REST connection."""

from contextlib import ExitStack
from typing import Any

from bench.host import Host
from bench.outside import BLOCK, FAR_EIP, NAT_EIP, OWN_EIP, POOL, PROVIDER, REACH, ROUTER, Eip
from bench.systems.ours import AGENT, Ours
from bench.waiting import TooLongError, wait_for
from bench.world import Guest

_ALL = "0.0.0.0/0"
_PATIENCE_S = 60.0


class OursExternal:
    """The external network, which stays, and the VPC's gateways and routes, which go."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        self._network = ""
        self._nat = ""
        self._eips: dict[str, str] = {}
        self._undo = ExitStack()

    def open(self) -> None:
        """Attach the VPC to the external network, and its first subnet to a NAT gateway."""
        if not self._network:
            self._describe()
        self._label_hosts()
        ends = {"vpc_id": self._ours.vpc_id, "external_network_id": self._network}
        internet = self._make("internet-gateways", ends)
        self._nat = self._make("nat-gateways", {**ends, "eip_ids": [self._eips[NAT_EIP]]})
        routes = f"/v1/route-tables/{self._main_table()}/routes"
        self._call("POST", routes, {"destination": _ALL, "targets": [internet]})
        self._undo.callback(self._call, "DELETE", f"{routes}?destination={_ALL}")
        body = {"vpc_id": self._ours.vpc_id, "name": "nat"}
        route = {"destination": _ALL, "targets": [self._nat]}
        table = self._make("route-tables", {**body, "routes": [route]})
        subnet = f"/v1/subnets/{self._ours.subnet_id(0)}"
        self._call("PATCH", subnet, {"route_table_id": table})
        self._undo.callback(self._call, "PATCH", subnet, {"route_table_id": None})
        for eip in (OWN_EIP, FAR_EIP):
            self._undo.callback(self.disassociate, eip)
        self._await_gateway_hosts()
        self._ours.converge(_PATIENCE_S)

    def _describe(self) -> None:
        body = {"provider": PROVIDER, "cidr": BLOCK, "gateway": ROUTER, "pools": [POOL]}
        self._network = self._call("POST", "/v1/external-networks", body)["id"]
        for address in (OWN_EIP.address, FAR_EIP.address, NAT_EIP):
            wanted = {"external_network_id": self._network, "address": address}
            made = self._call("POST", "/v1/eips", {**wanted, "tenant_id": self._ours.tenant})
            self._eips[address] = made["id"]
        path = f"/v1/external-networks/{self._network}"

        def reached() -> bool:
            return len(self._call("GET", path)["host_ids"]) == len(REACH)

        wait_for("hosts to reach the external network", reached, timeout=_PATIENCE_S)

    def _label_hosts(self) -> None:
        for name in REACH:
            path = f"/v1/hosts/{self._ours.host_id(name)}"
            self._call("PATCH", path, {"gateway": True})
            self._undo.callback(self._call, "PATCH", path, {"gateway": False})

    def _make(self, kind: str, body: dict[str, Any]) -> str:
        made = self._call("POST", f"/v1/{kind}", body)["id"]
        self._undo.callback(self._call, "DELETE", f"/v1/{kind}/{made}")
        return made

    def _main_table(self) -> str:
        tables = self._call("GET", f"/v1/route-tables?vpc_id={self._ours.vpc_id}")["items"]
        return next(table["id"] for table in tables if table["main"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        return self._ours.api.call(method, path, body)

    def close(self) -> None:
        """Take everything back but the network and its EIPs, which no host has anything of."""
        self._undo.close()
        self._undo = ExitStack()

    def associate(self, eip: Eip, guest: Guest) -> None:
        """Associate an EIP by one request."""
        body = {"port_id": self._ours.interface_id(guest.spec)}
        self._call("PUT", self._association(eip), body)

    def disassociate(self, eip: Eip) -> None:
        """Disassociate an EIP by one request."""
        self._call("DELETE", self._association(eip))

    def _association(self, eip: Eip) -> str:
        return f"/v1/eips/{self._eips[eip.address]}/association"

    def active(self) -> Host:
        """Return the NAT gateway's active host, as its placement says."""
        found = self._placement()["active_host_id"]
        for host in self._ours.world.hosts:
            if self._ours.host_id(host.name) == found:
                return host
        raise TooLongError("no host stands for our NAT gateway")

    def _placement(self) -> dict[str, Any]:
        return self._call("GET", f"/v1/nat-gateways/{self._nat}")["placement"]

    def kill(self, host: Host) -> None:
        """Kill the host's agent."""
        self._ours.kill_agent(host)

    def revive(self, host: Host) -> None:
        """Start the host's agent and wait until it stands by."""
        self._ours.restart(AGENT, host)
        self._ours.converge(_PATIENCE_S)
        self._await_gateway_hosts()

    def _await_gateway_hosts(self) -> None:
        wanted = ["active", *["standby"] * (len(REACH) - 1)]

        def there() -> bool:
            placement = self._placement()
            states = [host["state"] for host in placement["hosts"]]
            return states == wanted and placement["since_revision"] is not None

        wait_for("our gateway hosts", there, timeout=_PATIENCE_S, every=0.1)
