"""A virtual machine: QEMU on a hypervisor, one interface and a serial line, and no settings."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from mininet_labs.common.hypervisor import Hypervisor
from mininet_labs.common.processes import Daemons, LabError, wait_until
from mininet_labs.common.runs import REPOSITORY, Run

IMAGE = Path("/var/cache/vpcctl-vm")
_MEMORY_MIB = 128
_BOOT_S = 90.0
_KERNEL = (
    "console=ttyS0 quiet panic=-1 mitigations=off nokaslr"
    " tsc=reliable no_timer_check cryptomgr.notests"
)
"""The second line leaves out what only real hardware needs, and takes long where it is emulated."""
_CANNOT = 77
"""Exit code of ``.ci/install vm`` where there can be no virtual machine."""
_CARD = "csum=off,gso=off,guest_csum=off,host_tso4=off,host_tso6=off,mrg_rxbuf=off"
"""The userspace datapath reads frames as they are, so checksums are to be whole."""
_SMBIOS = "type=1,product=OpenStack Compute"
"""By which cloud-init knows that there is a metadata service."""


class LeftOut(LabError):
    """There can be no virtual machine here; the text says why."""


def prepare() -> None:
    """Install QEMU and make the image, where that has not been done yet.

    Raises:
        LeftOut: it is not possible on this kind of machine.
        LabError: it failed.
    """
    command = [str(REPOSITORY / ".ci" / "install"), "vm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stderr or done.stdout).strip()
    if done.returncode == _CANNOT:
        raise LeftOut(f"no virtual machines here: {said.splitlines()[-1]}")
    if done.returncode != 0:
        raise LabError(f"virtual machines cannot be prepared: {said[-1000:]}")


class Console:
    """The serial line of a machine, at which its first process takes shell commands."""

    def __init__(self, path: Path) -> None:
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._line.connect(str(path))
        self._heard = ""

    def await_up(self, seconds: float = _BOOT_S) -> None:
        """Return when it takes commands.

        Raises:
            LabError: it does not in time.
        """
        self._until("guest: up\n", seconds)

    def run(self, command: str, seconds: float = 20.0) -> tuple[int, str]:
        """Run a shell command; return its exit code and what it said.

        Raises:
            LabError: it does not end in time.
        """
        self._line.sendall(command.encode() + b"\n")
        said = self._until("guest: done ", seconds)
        return int(self._until("\n", seconds)), said

    def close(self) -> None:
        """Let somebody else use the line."""
        self._line.close()

    def _until(self, mark: str, seconds: float) -> str:
        """Return what comes before *mark*."""
        deadline = time.monotonic() + seconds
        while mark not in self._heard:
            self._line.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._line.recv(65536)
            except TimeoutError:
                tail = self._heard[-400:]
                raise LabError(f"waited {seconds:g} s in vain for a machine: {tail}") from None
            if not data:
                raise LabError(f"a machine has ended: {self._heard[-400:]}")
            self._heard += data.decode(errors="replace").replace("\r", "")
        before, _, self._heard = self._heard.partition(mark)
        return before


class Machine:
    """A virtual machine that has a port, on one host or another.

    Attributes:
        name: of the machine.
        host: where it is, or was last.
        console: its serial line, while it runs.
    """

    def __init__(self, name: str, port_id: str, mac: str, run: Run, daemons: Daemons) -> None:
        self.name = name
        self.host: Hypervisor
        self.console: Console
        self._port_id, self._mac = port_id, mac
        self._run, self._daemons = run, daemons
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Where its serial line is."""
        return self._run.path("consoles", self.name)

    @property
    def _tap(self) -> str:
        return f"tap-{self.name}"

    def start(self, host: Hypervisor) -> None:
        """Plug a tap by hand and start the machine behind it, without waiting for it."""
        self.host = host
        host.run("ip", "tuntap", "add", self._tap, "mode", "tap")
        host.run("ip", "link", "set", self._tap, "up")
        host.plug(self._port_id, self._tap, self._mac)
        self.socket.unlink(missing_ok=True)
        net = f"tap,id=net,ifname={self._tap},script=no,downscript=no"
        line = f"socket,id=line,path={self.socket},server=on,wait=on"
        qemu = [
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-machine", "pc,accel=tcg,usb=off", "-m", str(_MEMORY_MIB), "-no-reboot"),
            *("-smbios", _SMBIOS),
            *("-kernel", str(IMAGE / "kernel"), "-initrd", str(IMAGE / "initramfs")),
            *("-append", _KERNEL),
            *("-chardev", line, "-serial", "chardev:line", "-netdev", net),
            *("-device", f"virtio-net-pci,netdev=net,mac={self._mac},romfile=,{_CARD}"),
        ]
        self._process = self._daemons.start(f"qemu-{self.name}", host.inside(*qemu))

        def listens() -> bool:
            self._daemons.check()
            with contextlib.suppress(OSError):
                self.console = Console(self.socket)
                return True
            return False

        wait_until(listens, f"QEMU of {self.name}", seconds=20)

    def stop(self) -> None:
        """End it as if its host had lost its power, and take its tap away."""
        if self._process is not None:
            self._daemons.end(self._process)
            self._process = None
        self.console.close()
        self.host.vsctl("--if-exists", "del-port", "br-int", self._tap)
        self.host.run("ip", "link", "del", self._tap)
