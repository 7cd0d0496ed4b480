"""Compare our signatures of the till's API with the real jar: whatever we declare must be there, word for word.

python3 till/set10/check_signatures.py SOURCES OUR_CLASSES CLASSPATH_OF_THE_REAL_API
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def members(class_name: str, classpath: str) -> tuple[str, set[tuple[str, str]]]:
    """The header of a class and its public members with their descriptors, as javap prints them."""
    command = ["javap", "-public", "-s", "-cp", classpath, class_name]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    [header] = [line for line in lines if line.endswith("{")]
    found = {
        (line.strip(), following.strip())
        for line, following in zip(lines, lines[1:], strict=False)
        if following.strip().startswith("descriptor:")
    }
    return header, found


def supertypes(header: str) -> set[str]:
    """What a class extends and implements."""
    words = header.rstrip("{ ").replace(",", " ").split()
    return {word for word in words[words.index(next(w for w in words if "." in w)) + 1 :] if "." in word}


def differences(class_name: str, ours: str, real: str) -> list[str]:
    """What we declare and the real API has not."""
    our_header, our_members = members(class_name, ours)
    try:
        real_header, real_members = members(class_name, real)
    except subprocess.CalledProcessError as error:
        return [f"{class_name}: {error.stderr.strip()}"]
    found = [f"{class_name}: {text} {descriptor}" for text, descriptor in sorted(our_members - real_members)]
    if missing := supertypes(our_header) - supertypes(real_header):
        found.append(f"{class_name} is no {', '.join(sorted(missing))}")
    if our_header.split(class_name)[0] != real_header.split(class_name)[0]:
        found.append(f"{class_name}: {our_header} is {real_header}")
    return found


def main(sources: str, ours: str, real: str) -> int:
    """Print the differences; their number is the exit status."""
    names = sorted(".".join(path.relative_to(sources).with_suffix("").parts) for path in Path(sources).rglob("*.java"))
    found = [difference for name in names for difference in differences(name, ours, real)]
    for difference in found:
        sys.stderr.write(f"not in the real API: {difference}\n")
    sys.stdout.write(f"{len(names)} types compared with the real API, {len(found)} differences\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
