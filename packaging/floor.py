"""What an installed tree needs of a system: glibc, libstdc++ and kernel; `python packaging/floor.py TREE...`.

Read from every ELF file, as auditwheel does it: the libraries that it names, and the versions of their symbols. What
Debian's own parts need beyond `GLIBC`, the tree carries in lib/glibc. A file that needs more fails the release.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import NoteSection

GLIBC = (2, 28)
"""Astra Linux 1.7 and RED OS 7.3 have it; ALT 10 has 2.32, Astra 1.8 and RED OS 8 have 2.36."""
CARRIED = (2, 36)
"""Debian 12's, in lib/glibc."""
LIMITS = {"GLIBCXX": (3, 4, 25), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
"""Of gcc 8, which is Astra 1.7's and RED OS 7.3's."""
SYSTEM = re.compile(r"(libc|libm|libpthread|libdl|librt|libresolv|libutil|libgcc_s|libstdc\+\+|ld-linux\S*)\.so\.\d+")
OF_DEBIAN = ("bin/", "lib/bundled/", "lib/python3.11/", "lib/glibc/")

Version = tuple[int, ...]


def needs(path: Path) -> dict[str, Version]:
    """The highest version of each library's symbols that a file needs, and () for each library that is not part of a
    system; nothing where it is not an ELF file."""
    with path.open("rb") as opened:
        if opened.read(4) != b"\x7fELF":
            return {}
        found: dict[str, Version] = {}
        for section in ELFFile(opened).iter_sections():
            if isinstance(section, DynamicSection):
                named = [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
                found |= {name: () for name in named if not SYSTEM.fullmatch(name)}
            if not isinstance(section, GNUVerNeedSection):
                continue
            for _, entries in section.iter_versions():
                for entry in entries:
                    name, _, version = entry.name.rpartition("_")
                    if name in ("GLIBC", *LIMITS) and version[0].isdigit():  # and not GLIBC_PRIVATE
                        parts = tuple(map(int, version.split(".")))
                        found[name] = max(found.get(name, ()), parts)
    return found


def kernel(path: Path) -> str:
    """The lowest kernel that a glibc runs on, by its note."""
    with path.open("rb") as opened:
        for section in ELFFile(opened).iter_sections():
            for note in section.iter_notes() if isinstance(section, NoteSection) else ():
                if note["n_type"] == "NT_GNU_ABI_TAG":
                    tag = note["n_desc"]
                    return f"{tag['abi_major']}.{tag['abi_minor']}.{tag['abi_tiny']}"
    return "?"


def problems(found: dict[str, dict[str, Version]]) -> Iterator[str]:
    """What needs more than the systems have, by the files' needs."""
    carried = {Path(name).name for name in found}
    for name, versions in found.items():
        for library in versions.keys() - {"GLIBC", *LIMITS} - carried:
            yield f"{name} needs {library}, which is not in the tree"
        limits = {"GLIBC": CARRIED if name.startswith(OF_DEBIAN) else GLIBC, **LIMITS}
        for library, version in versions.items():
            if library in limits and version > limits[library]:
                yield f"{name} needs {library} {_text(version)}, {_text(limits[library])} is there"


def check(tree: Path) -> str:
    """In words what the tree needs. Raises SystemExit where that is too much."""
    paths = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    found = {str(path.relative_to(tree)): needs(path) for path in paths}
    if wrong := list(problems(found)):
        raise SystemExit("FAILED: " + "; ".join(wrong))
    highest: dict[str, Version] = {}
    for name, versions in found.items():
        for library, version in versions.items():
            if not version:
                continue
            key = f"{library} of Debian's parts" if library == "GLIBC" and name.startswith(OF_DEBIAN) else library
            highest[key] = max(highest.get(key, ()), version)
    floor = kernel(tree / "lib/glibc/libc.so.6")
    return ", ".join(f"{key} {_text(version)}" for key, version in sorted(highest.items())) + f", Linux {floor}"


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def main(trees: Sequence[str]) -> None:
    """Print it for each."""
    for tree in trees:
        print(f"{tree}: {check(Path(tree))}")


if __name__ == "__main__":
    main(sys.argv[1:])
