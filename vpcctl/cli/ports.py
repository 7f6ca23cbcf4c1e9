"""``vpcctl port``."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from vpcctl.cli.client import Client, path_of
from vpcctl.cli.counters import counters
from vpcctl.cli.dhcp_options import Options
from vpcctl.cli.errors import CliError
from vpcctl.cli.files import read_bytes
from vpcctl.cli.limits import LimitOptions, NewLimits
from vpcctl.cli.options import (
    Changes,
    Description,
    Filters,
    Name,
    OfVpc,
    Reference,
    Waiting,
    command,
    given,
)
from vpcctl.cli.render import Column, Format, Json, lines, print_item, print_items, print_json
from vpcctl.cli.resources import InVpc, add_delete_of_vpc, add_show_of_vpc, client_of, state_of
from vpcctl.model import ids

app = typer.Typer(no_args_is_help=True, help="Ports: where workloads meet their subnet.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", whole=False),
    Column("ADDRESSES", lambda item: lines(item["fixed_ips"]), whole=False),
    Column("HOST", "host_id"),
    Column("STATE", state_of),
)

Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair",
        metavar="CIDR[=MAC]",
        help="Further sources it may use, all of them; repeatable; '' for none.",
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a port is to be attached."""

    host: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Host to attach it on.")] = (
        None
    )
    netns: Annotated[
        str | None, typer.Option(help="Namespace that gets the interface; made when absent.")
    ] = None
    interface: Annotated[
        str | None,
        typer.Option(help="Interface: inside the namespace, or the OVS interface to take."),
    ] = None

    def attachment(self, client: Client) -> Json | None:
        """Return the attachment that the options ask for, None when they ask for none."""
        if self.host is None and self.netns is None and self.interface is None:
            return None
        if self.netns is None and self.interface is None:
            raise CliError("attachment: give --netns, or --interface of an OVS interface")
        if self.netns is not None and self.host is None:
            raise CliError("attachment: a namespace needs the --host it is on")
        kind: Literal["namespace", "interface"] = "namespace" if self.netns else "interface"
        return given(
            kind=kind,
            host_id=client.resolve_given("host", self.host),
            netns=self.netns,
            interface=self.interface or ("eth0" if self.netns else None),
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a port may send."""

    pair: Pairs = None
    port_security: Annotated[
        bool | None,
        typer.Option(
            "--port-security/--no-port-security", help="Refuse spoofing, ask security groups."
        ),
    ] = None
    sg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|NAME",
            help="Security group of its VPC, all of them; repeatable; '' for none: nothing passes.",
        ),
    ] = None
    admin_up: Annotated[bool | None, typer.Option("--up/--down", help="Connected or cut off.")] = (
        None
    )
    source_dest_check: Annotated[
        bool | None,
        typer.Option(
            "--source-dest-check/--no-source-dest-check",
            help="Drop what it sends or gets that is not from or for its own addresses.",
        ),
    ] = None

    def groups(self, client: Client, resource: str) -> Json:
        """Return the field that ``--sg`` sets, for a port in what is at the path *resource*."""
        if self.sg is None:
            return {}
        named = [reference for reference in self.sg if reference]
        if named and len(named) < len(self.sg):
            said = "--sg: '' stands for no security group at all"
            raise CliError(f"{said}; accepted: names or ids of groups, or '' alone")
        if all(ids.is_id("sg", reference) for reference in named):
            return {"security_groups": named}
        vpc_id = client.get(resource)["vpc_id"]
        found = [client.resolve("sg", reference, vpc_id=vpc_id) for reference in named]
        return {"security_groups": found}

    def fields(self) -> Json:
        """Return the other fields that the options set."""
        pairs = None if self.pair is None else [_parse_pair(text) for text in self.pair if text]
        return given(
            allowed_address_pairs=pairs,
            port_security=self.port_security,
            admin_up=self.admin_up,
            source_dest_check=self.source_dest_check,
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Addresses of a port."""

    ip: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A fixed address; repeatable.")
    ] = None
    mac: Annotated[str | None, typer.Option(help="Its MAC; default: a made-up one.")] = None

    def fields(self) -> Json:
        """Return the fields that the options set."""
        return given(fixed_ips=self.ip, mac_address=self.mac)


@dataclass(frozen=True, slots=True)
class NewAddress(Address):
    """New addresses of a port, in place of those that there are."""

    ip: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="The fixed addresses, all of them; repeatable."),
    ] = None
    mac: Annotated[str | None, typer.Option(help="A new MAC.")] = None


@dataclass(frozen=True, slots=True)
class Dhcp(Options):
    """DHCP options of a port alone, in place of its VPC's."""

    no_dhcp_options: Annotated[
        bool, typer.Option("--no-dhcp-options", help="Its VPC's options alone.")
    ] = False

    def whole(self) -> Json:
        """Return the field that the options set, if any."""
        options = Options.fields(self)
        return {"dhcp_options": options or None} if options or self.no_dhcp_options else {}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the metadata service tells the port's guest."""

    user_data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="User data of its guest; an empty file takes them away."),
    ] = None
    key_file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="SSH public keys of its guest, all of them; repeatable; an empty file for none.",
        ),
    ] = None
    tokens: Annotated[
        Literal["optional", "required"] | None,
        typer.Option(help="Whether its guest needs session tokens for metadata."),
    ] = None

    def fields(self) -> Json:
        """Return the fields that the options set."""
        found = given(metadata_tokens=self.tokens)
        if self.user_data is not None:
            raw = read_bytes(self.user_data)
            found["user_data"] = base64.b64encode(raw).decode() if raw else None
        if self.key_file is not None:
            texts = [read_bytes(one).decode("utf-8", "replace") for one in self.key_file]
            lines = [line.strip() for text in texts for line in text.splitlines()]
            found["public_keys"] = [line for line in lines if line]
        return found


@dataclass(frozen=True, slots=True)
class Within:
    """Where to look for ports."""

    vpc: OfVpc = None
    subnet: Annotated[str | None, typer.Option(metavar="ID|NAME", help="Only of this subnet.")] = (
        None
    )
    host: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only where they are now.")
    ] = None
    sg: Annotated[
        str | None, typer.Option(metavar="ID|NAME", help="Only in this security group.")
    ] = None

    def query(self, client: Client) -> dict[str, str | None]:
        """Return the filters as query parameters."""
        vpc_id = client.resolve_given("vpc", self.vpc)
        group = client.resolve_given("sg", self.sg, vpc_id=vpc_id)
        return {
            "vpc_id": vpc_id,
            "security_group_id": group,
            "subnet_id": client.resolve_given("subnet", self.subnet),
            "host_id": client.resolve_given("host", self.host),
        }


@app.command("list")
@command
def list_(context: typer.Context, filters: Filters, within: Within) -> None:
    """List ports."""
    client = client_of(context)
    query = filters.query(**within.query(client))
    print_items(client.items("/v1/ports", query), COLUMNS, filters.output)


add_show_of_vpc(app, "port")


@app.command()
@command
def create(
    context: typer.Context,
    name: Name,
    subnet: Annotated[str, typer.Option(metavar="ID|NAME", help="The subnet it is in.")],
    within: InVpc,
    values: Description,
    address: Address,
    traffic: Traffic,
    place: Place,
    dhcp: Dhcp,
    metadata: Metadata,
    limits: LimitOptions,
    waiting: Waiting,
) -> None:
    """Create a port, and attach it when a host is given."""
    client = client_of(context, patience_s=waiting.timeout)
    body = values.body(name) | address.fields() | traffic.fields() | dhcp.whole()
    body |= metadata.fields()
    body |= limits.limits()
    body["subnet_id"] = within.resolve(client, "subnet", subnet)
    body |= traffic.groups(client, path_of("subnet", body["subnet_id"]))
    if (attachment := place.attachment(client)) is not None:
        body["attachment"] = attachment
    print_item(client.create("/v1/ports", body, waiting.query), waiting.output)


@app.command("set")
@command
def set_(
    context: typer.Context,
    reference: Reference,
    changes: Changes,
    address: NewAddress,
    traffic: Traffic,
    dhcp: Dhcp,
    metadata: Metadata,
    limits: NewLimits,
    within: InVpc,
    waiting: Waiting,
) -> None:
    """Change a port; DHCP options that are given replace all that it had, limits likewise."""
    client = client_of(context, patience_s=waiting.timeout)
    path = within.find(client, "port", reference)
    body = changes.body() | address.fields() | traffic.fields() | dhcp.whole()
    body |= metadata.fields()
    body |= limits.changed() | traffic.groups(client, path)
    print_item(client.change(path, body, waiting.query), waiting.output)


@app.command()
@command
def attach(
    context: typer.Context, reference: Reference, place: Place, within: InVpc, waiting: Waiting
) -> None:
    """Attach a port: to a namespace on a host, or to an OVS interface."""
    client = client_of(context, patience_s=waiting.timeout)
    attachment = place.attachment(client)
    if attachment is None:
        raise CliError("attachment: give --host and --netns, or --interface")
    path = f"{within.find(client, 'port', reference)}/attachment"
    print_item(client.put(path, attachment, waiting.query), waiting.output)


@app.command()
@command
def detach(context: typer.Context, reference: Reference, within: InVpc, waiting: Waiting) -> None:
    """Detach a port; what the agent made for it is removed."""
    client = client_of(context, patience_s=waiting.timeout)
    port_id = within.resolve(client, "port", reference)
    revision = client.delete(f"{path_of('port', port_id)}/attachment", waiting.query)
    if waiting.output is Format.JSON:
        print_json({"id": port_id, "attached": False, "revision": revision})
    else:
        print(f"{port_id} detached")


add_delete_of_vpc(app, "port")
app.command("counters")(counters)


def _parse_pair(text: str) -> Json:
    cidr, _, mac = text.partition("=")
    return {"cidr": cidr, "mac_address": mac or None}
