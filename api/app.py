"""The FastAPI application of vpcctl."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI

import vpcctl
from api import errors, openapi
from api.auth import Authenticator, AuthMiddleware
from api.config import ApiConfig
from api.context import Context
from api.events import EventHub
from api.guard import Guard
from api.longpoll import HostStateHub
from api.readiness import Patience, SouthboundWatch
from api.routers import (
    address_groups,
    attachments,
    counters,
    dhcp_options,
    dns_records,
    eips,
    enrollment,
    events,
    external_networks,
    group_rules,
    hosts,
    internet_gateways,
    nat_gateways,
    network_acls,
    ports,
    reports,
    route_tables,
    security_groups,
    status,
    subnets,
    tokens,
    vpcs,
    zones,
)
from api.schemas import address_groups as address_group_schemas
from api.schemas import counters as counter_schemas
from api.schemas import dhcp_options as dhcp_schemas
from api.schemas import dns_records as dns_schemas
from api.schemas import eips as eip_schemas
from api.schemas import events as event_schemas
from api.schemas import external_networks as network_schemas
from api.schemas import group_rules as rule_schemas
from api.schemas import hosts as host_schemas
from api.schemas import internet_gateways as internet_schemas
from api.schemas import nat_gateways as nat_schemas
from api.schemas import network_acls as acl_schemas
from api.schemas import ports as port_schemas
from api.schemas import problems as problem_schemas
from api.schemas import route_tables as table_schemas
from api.schemas import security_groups as group_schemas
from api.schemas import status as status_schemas
from api.schemas import subnets as subnet_schemas
from api.schemas import tokens as token_schemas
from api.schemas import vpcs as vpc_schemas
from api.upkeep import running
from api.wakeups import Wakeups
from api.zone_polls import ZoneHub
from vpcctl.services.facade import Services
from vpcctl.store.wake import WakeListener, has_listener
from vpcctl.wire.report import LinkReport, ReportAnswer
from vpcctl.wire.state import HostState
from vpcctl.wire.zones import ChangedZones, KnownZones, PortMetadata, ZoneDocument

_MODELS = (
    vpc_schemas.VpcIn,
    vpc_schemas.VpcPatch,
    vpc_schemas.VpcPage,
    subnet_schemas.SubnetIn,
    subnet_schemas.SubnetPatch,
    subnet_schemas.SubnetPage,
    port_schemas.PortIn,
    port_schemas.PortPatch,
    port_schemas.AttachmentIn,
    port_schemas.PortPage,
    dhcp_schemas.DhcpOptionsIn,
    dhcp_schemas.DhcpOptionsPatch,
    dhcp_schemas.DhcpOptionsPage,
    dns_schemas.DnsRecordIn,
    dns_schemas.DnsRecordPatch,
    dns_schemas.DnsRecordPage,
    group_schemas.SecurityGroupIn,
    group_schemas.SecurityGroupPatch,
    group_schemas.SecurityGroupOut,
    group_schemas.SecurityGroupPage,
    rule_schemas.RuleOrRulesIn,
    rule_schemas.RulePatch,
    rule_schemas.RulesOut,
    rule_schemas.RulePage,
    address_group_schemas.AddressGroupIn,
    address_group_schemas.AddressGroupPatch,
    address_group_schemas.CidrsIn,
    address_group_schemas.AddressGroupOut,
    address_group_schemas.AddressGroupPage,
    acl_schemas.NetworkAclIn,
    acl_schemas.NetworkAclPatch,
    acl_schemas.EntryOrEntriesIn,
    acl_schemas.ReplacementIn,
    acl_schemas.NetworkAclOut,
    acl_schemas.NetworkAclPage,
    table_schemas.RouteTableIn,
    table_schemas.RouteTablePatch,
    table_schemas.TableRouteOrRoutesIn,
    table_schemas.RouteTableOut,
    table_schemas.RouteTablePage,
    nat_schemas.NatGatewayIn,
    nat_schemas.NatGatewayPatch,
    nat_schemas.NatGatewayOut,
    nat_schemas.NatGatewayPage,
    nat_schemas.ForwardIn,
    nat_schemas.ForwardOut,
    network_schemas.ExternalNetworkIn,
    network_schemas.ExternalNetworkPatch,
    network_schemas.ExternalNetworkPage,
    internet_schemas.InternetGatewayIn,
    internet_schemas.InternetGatewayPatch,
    internet_schemas.InternetGatewayPage,
    eip_schemas.EipIn,
    eip_schemas.EipPatch,
    eip_schemas.AssociationIn,
    eip_schemas.EipPage,
    counter_schemas.CountersOut,
    host_schemas.HostIn,
    host_schemas.HostPatch,
    host_schemas.HostPage,
    token_schemas.TokenIn,
    token_schemas.TokenCreatedOut,
    token_schemas.TokenPage,
    event_schemas.EventOut,
    status_schemas.SummaryOut,
    status_schemas.HealthOut,
    problem_schemas.LaggingOut,
    problem_schemas.ProblemOut,
    LinkReport,
    ReportAnswer,
    HostState,
    KnownZones,
    ChangedZones,
    ZoneDocument,
    PortMetadata,
    *enrollment.MODELS,
)
# Routers are asked one after the other: the busiest come first.
_ROUTERS = (
    reports,
    ports,
    vpcs,
    subnets,
    attachments,
    dhcp_options,
    dns_records,
    security_groups,
    group_rules,
    address_groups,
    network_acls,
    route_tables,
    nat_gateways,
    eips,
    internet_gateways,
    external_networks,
    hosts,
    tokens,
    events,
    status,
    counters,
    enrollment,
    zones,
)
_DESCRIPTION = """VPCs, subnets, ports and hosts over Open vSwitch.

Everything under /v1 needs a bearer token. Errors are problem documents (RFC 9457). Lists page by
cursor. Every write answers the revision that it made; `wait=realized` waits for the hosts."""


def create_app(services: Services, *, run_dir: Path, config: ApiConfig | None = None) -> FastAPI:
    """Return the application.

    Args:
        services: the use cases; called in threads of the application's own.
        run_dir: directory of the wake-up sockets.
        config: limits and intervals.
    """
    context = Context(services, config or ApiConfig(), Wakeups(run_dir, WakeListener))
    context.auth = Authenticator(context)
    context.events = EventHub(context)
    context.polls = HostStateHub(context)
    context.zones = ZoneHub(context)
    context.southbound = SouthboundWatch(
        services,
        lambda: has_listener(run_dir, "network"),
        Patience(context.config.processed_age_s),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with running(context):
            yield

    app = FastAPI(
        title="vpcctl",
        version=vpcctl.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    for module in _ROUTERS:
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app, _MODELS)
    app.add_middleware(AuthMiddleware, context=context)
    app.add_middleware(Guard, context=context)
    return app
