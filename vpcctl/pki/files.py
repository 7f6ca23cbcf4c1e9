"""Key material on disk: private directories, atomic writes, generations that swap in one step."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from vpcctl.pki.errors import PkiError

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
_CURRENT = "current"
_TEMPORARY = ".new-"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key, its certificate and the authority's, as three files of one directory."""

    directory: Path

    @property
    def key(self) -> Path:
        """The private key, PEM, 0600."""
        return self.directory / "key.pem"

    @property
    def certificate(self) -> Path:
        """The certificate, PEM, 0644."""
        return self.directory / "certificate.pem"

    @property
    def ca(self) -> Path:
        """The authority's certificate, PEM, 0644."""
        return self.directory / "ca.pem"


@dataclass(frozen=True, slots=True)
class Material:
    """The contents of :class:`Credentials`, PEM."""

    key: bytes
    certificate: str
    ca: str


def make_private_directory(path: Path) -> None:
    """Make *path* so that only its owner may enter it; parents that are missing likewise."""
    for missing in reversed([one for one in path.parents if not one.exists()]):
        missing.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    path.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    path.chmod(PRIVATE_DIRECTORY)


def write_atomically(path: Path, data: bytes, *, mode: int) -> None:
    """Write *path* so that a reader, or a crash, meets the old content or the new, never half.

    The mode holds from the first byte on, whatever the umask.
    """
    temporary = path.with_name(f"{_TEMPORARY}{path.name}-{secrets.token_hex(8)}")
    try:
        write_new(temporary, data, mode=mode)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, with *mode* from the first byte on, down to the disk.

    Raises:
        FileExistsError: something of that name is there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring renames inside *path* down to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Generator[None]:
    """Hold the directory's lock file: one process at a time changes what is in it."""
    make_private_directory(directory)
    descriptor = os.open(
        directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_file(path: Path) -> bytes:
    """Return the content of *path*.

    Raises:
        PkiError: it cannot be read; the text names the path and why.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PkiError(f"cannot read {path}: {error.strerror}") from error


class CredentialStore:
    """Generations of credentials: ``<directory>/<generation>/*.pem``, and a link ``current``.

    A generation never changes once it is there. Renewal adds one and moves the link, so whoever
    resolves the link once gets a key and a certificate that belong together. OVS is told the
    generation's own path: both names change in one OVSDB transaction.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def link(self) -> Path:
        """The link to the present generation."""
        return self._directory / _CURRENT

    def current(self) -> Credentials | None:
        """Return the present credentials by their own path; None when there are none yet."""
        try:
            return Credentials(self.link.resolve(strict=True))
        except FileNotFoundError:
            return None

    def install(self, material: Material) -> Credentials:
        """Add a generation, make it the present one, and forget all but the one before it."""
        # Here, for what only reads key files has no use of the library behind it (10 MiB).
        from vpcctl.pki import certificates

        certificate = certificates.from_pem(material.certificate)
        born = certificate.not_valid_before_utc.strftime("%Y%m%dT%H%M%SZ")
        name = f"{born}-{certificates.serial_of(certificate)}"
        with locked(self._directory):
            before = self.current()
            self._sweep_temporary()
            self._add(name, material)
            self._point_at(name)
            keep = {name} if before is None else {name, before.directory.name}
            self._forget_all_but(keep)
        return Credentials(self.link.resolve(strict=True))

    def _add(self, name: str, material: Material) -> None:
        temporary = self._directory / f"{_TEMPORARY}{secrets.token_hex(8)}"
        temporary.mkdir(mode=PRIVATE_DIRECTORY)
        files = Credentials(temporary)
        write_new(files.key, material.key, mode=PRIVATE_FILE)
        write_new(files.certificate, material.certificate.encode(), mode=PUBLIC_FILE)
        write_new(files.ca, material.ca.encode(), mode=PUBLIC_FILE)
        sync_directory(temporary)
        os.rename(temporary, self._directory / name)

    def _point_at(self, name: str) -> None:
        temporary = self._directory / f"{_TEMPORARY}{secrets.token_hex(8)}"
        temporary.symlink_to(name)
        os.replace(temporary, self.link)
        sync_directory(self._directory)

    def _forget_all_but(self, names: set[str]) -> None:
        for entry in self._directory.iterdir():
            if entry.is_dir() and not entry.is_symlink() and entry.name not in names:
                shutil.rmtree(entry)

    def _sweep_temporary(self) -> None:
        """Remove what a crash left half made; under the lock nobody else is writing."""
        for entry in self._directory.glob(f"{_TEMPORARY}*"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
