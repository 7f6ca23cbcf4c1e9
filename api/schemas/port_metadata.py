"""What ports' owners say for their guests, as the API shows and takes it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from vpcctl.services.views import PortMetadataChange, PortMetadataView

Tokens = Annotated[
    Literal["optional", "required"],
    Field(
        description="Whether the metadata service tells the guest nothing without a session token.",
        examples=["required"],
    ),
]
PublicKeys = Annotated[
    list[Annotated[str, Field(max_length=4_096)]],
    Field(
        max_length=16,
        description="SSH keys that the metadata service tells the guest, a line of OpenSSH's form "
        "each.",
        examples=[["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAA me@here"]],
    ),
]
UserData = Annotated[str, Field(max_length=21_848)]
FIELDS = ("user_data", "public_keys", "metadata_tokens")


def user_data_field() -> Any:
    """Return the field of user data."""
    return Field(
        default=None,
        description="What the metadata service tells the guest as its user data: at most 16 KiB, "
        "in base64; null: none.",
        examples=["I2Nsb3VkLWNvbmZpZwo="],
        json_schema_extra={"contentEncoding": "base64"},
    )


def change_of(given: dict[str, Any]) -> PortMetadataChange:
    """Take the fields out of what a client gave, and return the service's value."""
    found = {name: given.pop(name) for name in FIELDS if name in given}
    if "public_keys" in found:
        found["public_keys"] = tuple(found["public_keys"])
    return PortMetadataChange(**found)


def render(view: PortMetadataView) -> dict[str, Any]:
    """Return *view* as a port's JSON has it."""
    return {
        "user_data": view.user_data,
        "public_keys": view.public_keys,
        "metadata_tokens": view.metadata_tokens,
    }
