"""Search on from the kept corpora for inputs that raise what they must not, and keep them. The exit status is 1 when
one is found.

With atheris (pip install atheris) the search is guided by coverage; without it inputs are only mixed and mutated.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.verification.fuzz.targets import CORPORA, TARGETS, corpus
from tests.verification.verdict import verdict

_INSTRUMENTED = ("sco_payment", "sco_drivers")
_TARGETS = "tests.verification.fuzz.targets"
_BYTES = (0, 1, 0x0A, 0x10, 0x22, 0x37, 0x5F, 0x7F, 0x80, 0xB2, 0xFF)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together (60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided-child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if options.guided_child:
        return _guided(names[0], options.seconds, options.seed)
    guided = importlib.util.find_spec("atheris") is not None
    search = _in_a_process if guided else _mutating
    broken = [name for name in names if search(name, options.seconds / len(names), options.seed)]
    how = "guided by coverage" if guided else "not guided"
    counts = f"{len(names)} targets, {how}, {options.seconds:.0f} s"
    print(verdict(counts, [f"{name} raises what it must not" for name in broken]))
    return int(bool(broken))


def _in_a_process(name: str, seconds: float, seed: int) -> bool:
    """Whether an input is found. libFuzzer ends its process, so it has one of its own."""
    module = "tests.verification.fuzz"
    command = [sys.executable, "-m", module, name, "--seconds", str(seconds), "--seed", str(seed), "--guided-child"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    done = [line for line in run.stderr.splitlines() if line.startswith(("Done ", "#"))]
    print(f"{name}: {done[-1] if done else 'ended early'}", flush=True)
    if run.returncode:
        print(run.stderr[-3000:], flush=True)
    return run.returncode != 0


def _guided(name: str, seconds: float, seed: int) -> int:
    import atheris

    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        for module in [name for name in sys.modules if name.split(".")[0] in _INSTRUMENTED or name == _TARGETS]:
            del sys.modules[module]
        from tests.verification.fuzz.targets import TARGETS as INSTRUMENTED
    grown = Path("out") / "fuzz" / name
    grown.mkdir(parents=True, exist_ok=True)
    kept = CORPORA / name
    kept.mkdir(parents=True, exist_ok=True)
    arguments = [
        "fuzz", str(grown), str(kept), f"-max_total_time={max(1, round(seconds))}", f"-seed={seed + 1}",
        f"-artifact_prefix={kept}/", "-max_len=65536", "-timeout=10",
    ]  # fmt: skip
    atheris.Setup(arguments, INSTRUMENTED[name])
    atheris.Fuzz()
    return 0


def _mutating(name: str, seconds: float, seed: int) -> bool:
    """Whether an input is found."""
    rng = random.Random(f"{seed}/{name}")
    pool = [path.read_bytes() for path in corpus(name)] or [b""]
    until, runs, found = time.monotonic() + seconds, 0, False
    while time.monotonic() < until and not found:
        data = mutated(rng, pool)
        runs += 1
        try:
            TARGETS[name](data)
        except Exception as error:
            found = True
            path = CORPORA / name / f"crash-{hashlib.sha1(data).hexdigest()}"
            path.write_bytes(data)
            print(f"{name}: {type(error).__name__}: {error}; kept as {path}", flush=True)
    print(f"{name}: {runs} inputs", flush=True)
    return found


def mutated(rng: random.Random, pool: list[bytes]) -> bytes:
    """One of the pool, with some octets changed, left out, repeated, or spliced in from another."""
    data = bytearray(rng.choice(pool))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randint(0, len(data))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] = rng.choice(_BYTES) if rng.random() < 0.5 else rng.randrange(256)
            case 1:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 8)))
            case 2:
                del data[at : at + rng.choice((1, 2, 8, 64))]
            case 3:
                data[at:at] = data[at : at + rng.choice((1, 4, 32))]
            case 4:
                other = rng.choice(pool)
                start = rng.randint(0, len(other))
                data[at:at] = other[start : start + rng.choice((1, 4, 16, 64))]
            case _ if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main())
