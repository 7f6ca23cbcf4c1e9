"""External networks in the database."""

from vpcctl.store.rows import Repository
from vpcctl.store.tables import ExternalNetworkRow

EXTERNAL_NETWORKS = Repository(
    ExternalNetworkRow,
    "key",
    {
        "name": lambda value: ExternalNetworkRow.name == value,
        "provider": lambda value: ExternalNetworkRow.provider == value,
    },
)
