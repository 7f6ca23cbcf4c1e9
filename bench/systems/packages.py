"""Finds OVN: another build, the system's, or Debian's packages unpacked into the build folder.

The packages are unpacked, not installed: no service of theirs is set up or started, and nothing
of the machine's changes.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.processes import run

PACKAGES = ("ovn-common", "ovn-central", "ovn-host")


@dataclass(frozen=True, slots=True)
class OvnBuild:
    """Where an OVN build's programs and schemas are.

    Attributes:
        programs: name of a program → its path.
        nb_schema: the northbound schema.
        sb_schema: the southbound schema.
        version: what ``ovn-controller --version`` says.
    """

    programs: dict[str, str]
    nb_schema: Path
    sb_schema: Path
    version: str


def find(prefix: Path | None, cache: Path) -> OvnBuild:
    """Return the OVN build below *prefix*, or Debian's, unpacked into *cache* when not there.

    Raises:
        FileNotFoundError: a program or schema is missing.
    """
    root = prefix or _debian(cache)
    programs = {name: _locate(root, name) for name in ("ovn-northd", "ovn-controller")}
    version = run(programs["ovn-controller"], "--version").splitlines()[0]
    schemas = {name: _locate(root, f"{name}.ovsschema") for name in ("ovn-nb", "ovn-sb")}
    return OvnBuild(programs, Path(schemas["ovn-nb"]), Path(schemas["ovn-sb"]), version)


def _locate(root: Path, name: str) -> str:
    for folder in ("bin", "usr/bin", "sbin", "share/ovn", "usr/share/ovn"):
        if (root / folder / name).is_file():
            return str(root / folder / name)
    raise FileNotFoundError(f"{name} is not below {root}")


def _debian(cache: Path) -> Path:
    root = cache / "ovn-debian"
    if (root / "usr/bin/ovn-controller").is_file():
        return root
    downloads = cache / "ovn-packages"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    # apt-get download writes into the working directory.
    run("env", "-C", str(downloads), "apt-get", "-q", "download", *PACKAGES)
    for package in downloads.glob("*.deb"):
        run("dpkg-deb", "-x", str(package), str(root))
    return root
