"""The logical network: frozen resources, ids and addresses. Pure: no I/O, no clock."""
