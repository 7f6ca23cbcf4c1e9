"""How many flows a bridge has, asked over a kept OpenFlow 1.4 connection.

What watches a switch being loaded shares its processor with what loads it: two processes of
``ovs-ofctl`` for each look took as much of a core as the loading.
"""

import socket
import struct
from pathlib import Path

_VERSION = 5
_HELLO, _MULTIPART_REQUEST, _MULTIPART_REPLY = 0, 18, 19
_TABLE_STATISTICS = 3
_MORE = 1
_HEADER = struct.Struct("!BBHI")
_MULTIPART = struct.Struct("!HH4x")
_TABLE = struct.Struct("!B3xIQQ")  # table, flows in it, lookups, matches (ONF TS-012, 7.3.5.3)
_TIMEOUT_S = 60.0


class FlowCount:
    """Counts a bridge's flows, the learned ones too; every count costs some 50 microseconds.

    Args:
        path: the bridge's management socket.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.connect(str(path))
        self._socket.sendall(_HEADER.pack(_VERSION, _HELLO, _HEADER.size, 1))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def now(self) -> int:
        """Return how many flows there are.

        Raises:
            OSError: the switch has gone, or does not answer.
        """
        body = _MULTIPART.pack(_TABLE_STATISTICS, 0)
        head = _HEADER.pack(_VERSION, _MULTIPART_REQUEST, _HEADER.size + len(body), 2)
        self._socket.sendall(head + body)
        flows, more = 0, True
        while more:
            kind, message = self._message()
            if kind == _MULTIPART_REPLY:
                _, flags = _MULTIPART.unpack_from(message)
                tables = _TABLE.iter_unpack(message[_MULTIPART.size :])
                flows += sum(active for _, active, _, _ in tables)
                more = bool(flags & _MORE)
        return flows

    def _message(self) -> tuple[int, bytes]:
        """Return the next message's type and what follows its header."""
        _, kind, length, _ = _HEADER.unpack(self._read(_HEADER.size))
        return kind, self._read(length - _HEADER.size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError("the switch closed the connection")
            data += part
        return data
