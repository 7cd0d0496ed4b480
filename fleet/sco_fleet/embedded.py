"""A PostgreSQL server of one's own for demos, benchmarks and tests: Debian's package in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LONGEST_PATH = 107 - len("/.s.PGSQL.5432")
_LAST_LINES = 10
"""Of its log, for whoever wonders why it does not start: its folder may be gone by then."""


class NoServer(RuntimeError):
    """There is no PostgreSQL server on this machine, or it does not start."""


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None where PostgreSQL is not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parents[1].name))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """A running server that listens on a socket in its folder only.

    Attributes:
        folder: what it keeps; whoever runs it, `postgres` if we are root, owns it.
    """

    def __init__(self, folder: Path, *, durable: bool = False, options: tuple[str, ...] = ()) -> None:
        found = programs()
        if found is None:
            raise NoServer("PostgreSQL is not installed: apt-get install postgresql")
        folder = folder.absolute()
        if len(os.fsencode(folder)) > _LONGEST_PATH:
            raise NoServer(f"{folder}: too long a path for PostgreSQL's socket, at most {_LONGEST_PATH} bytes")
        self.folder, self._programs, self._options = folder, found, options
        self._durable = durable
        self._user = "postgres" if os.geteuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            for place in (folder, *(one for one in folder.parents if one.stat().st_uid == 0 and one != Path("/"))):
                if not place.stat().st_mode & 0o001 and place != folder:
                    place.chmod(place.stat().st_mode | 0o011)  # so that the server's user reaches its folder
            shutil.chown(folder, self._user)
        if not (folder / "data").exists():
            self._run(
                "initdb", "-D", str(folder / "data"), "-U", "sco", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
            )
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoServer(f"{program}: {(done.stderr or done.stdout).strip()}")

    def start(self) -> None:
        """Start it, and wait until it answers. Raises NoServer."""
        sync = () if self._durable else ("-c fsync=off", "-c full_page_writes=off")
        options = (f"-c unix_socket_directories={self.folder}", "-c listen_addresses=", "-c max_connections=200", *sync)
        data, log = str(self.folder / "data"), self.folder / "server.log"
        words = " ".join((*options, *self._options))
        try:
            self._run("pg_ctl", "-D", data, "-l", str(log), "-w", "-t", "120", "-o", words, "start")
        except NoServer as error:
            said = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
            raise NoServer("\n".join([str(error), *said[-_LAST_LINES:]])) from None

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast`, or `immediate` as a crash does."""
        with contextlib.suppress(NoServer):
            self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", "60", "-m", mode, "stop")

    def url(self, database: str = "postgres") -> str:
        """By which psycopg reaches a database of it."""
        return f"postgresql://sco@/{database}?host={self.folder}"


@contextlib.contextmanager
def running(folder: Path, *, durable: bool = False, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """A server until the end of the block. Raises NoServer."""
    server = Server(folder, durable=durable, options=options)
    try:
        yield server
    finally:
        server.stop("immediate")


@contextlib.contextmanager
def temporary(*, durable: bool = False, options: tuple[str, ...] = ()) -> Iterator[Server]:
    """As `running`, in a folder of its own that goes with it, and that the server's user can always reach."""
    with (
        tempfile.TemporaryDirectory(prefix="sco-postgres-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), durable=durable, options=options) as server,
    ):
        yield server
