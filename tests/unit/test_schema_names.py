"""Names that nobody could refer to are refused, of every kind of resource."""

import importlib
import pkgutil

import pytest
from pydantic import ValidationError

import api.schemas
from api.schemas.common import Input
from vpcctl.model import ids

KINDS: dict[str, ids.Kind] = {
    "vpcs": "vpc",
    "subnets": "subnet",
    "ports": "port",
    "hosts": "host",
    "security_groups": "sg",
    "address_groups": "ag",
    "network_acls": "nacl",
    "dhcp_options": "dopt",
    "external_networks": "ext",
    "internet_gateways": "igw",
    "nat_gateways": "nat",
    "eips": "eip",
    "route_tables": "rtb",
    "dns_records": "rec",
}
MODULES = [
    importlib.import_module(f"api.schemas.{one.name}")
    for one in pkgutil.iter_modules(api.schemas.__path__)
]
MODELS: list[type[Input]] = [
    one
    for module in MODULES
    for one in vars(module).values()
    if isinstance(one, type)
    and issubclass(one, Input)
    and one.__module__ == module.__name__
    and "name" in one.model_fields
]


def refused(model: type[Input], name: str) -> list[str]:
    """The types of what is said of *name*."""
    try:
        model.model_validate({"name": name})
    except ValidationError as error:
        return [one["type"] for one in error.errors() if one["loc"] == ("name",)]
    return []


def test_every_kind_with_a_name_is_known() -> None:
    assert {model.__module__.rpartition(".")[2] for model in MODELS} == set(KINDS)


@pytest.mark.parametrize("model", MODELS)
def test_no_name_has_the_form_of_an_id_of_its_kind(model: type[Input]) -> None:
    kind = KINDS[model.__module__.rpartition(".")[2]]
    assert refused(model, ids.new_id(kind)) == ["name_is_id"]
    for name in (f"{kind}-1", f"{ids.new_id(kind)}0", ids.new_id("fwd"), "web"):
        assert refused(model, name) == []


@pytest.mark.parametrize("model", MODELS)
def test_groups_alone_are_not_named_self(model: type[Input]) -> None:
    is_group = model.__module__ == "api.schemas.security_groups"
    assert refused(model, "self") == (["name_is_self"] if is_group else [])
