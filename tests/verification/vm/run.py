"""`make vm-test`: boot a guest with real kernel devices and run the suites on them; see docs/virtual-bench.md.

Exit status: 0 all passed, or SCO_VM_SKIP=1 skips it all; 1 something failed; 77 the bench is not available here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import reboot
from boot import CONSOLE, Guest, GuestFailed, interpreter
from fetch import Kit, Unavailable, fetch

ROOT = Path(__file__).resolve().parents[3]
NOT_AVAILABLE = 77
CONSOLE_LINES = 80


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Suites on real kernel devices, in QEMU.")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="checks with WORD in their name")
    parser.add_argument("--out", type=Path, default=ROOT / "out/vm", help="where logs, results and pictures go")
    parser.add_argument("--limit", type=float, default=1800, metavar="S", help="seconds that the whole may take")
    options = parser.parse_args()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("*.png"), *out.glob("*.json"), *out.glob("*.log")):
        old.unlink()
    if os.environ.get("SCO_VM_SKIP") == "1":
        return _skipped("SCO_VM_SKIP=1", 0)
    start = time.monotonic()
    try:
        kit = fetch()
    except Unavailable as error:
        return _skipped(f"{error}\nSCO_VM_SKIP=1 allows a machine to go without it", NOT_AVAILABLE)
    print(f"QEMU and Linux {kit.release} are available after {time.monotonic() - start:.1f} s", flush=True)
    return Run(kit, out, options.limit, options.only).go()


def _skipped(why: str, status: int) -> int:
    print(f"SKIPPED the whole virtual bench: {why}")
    print("0 passed, 0 failed, all skipped")
    return status


class Run:
    """One boot and its results."""

    def __init__(self, kit: Kit, out: Path, limit_s: float, only: list[str]) -> None:
        self._kit, self._out, self._limit, self._only = kit, out, limit_s, only
        self.results: list[dict[str, Any]] = []
        self._done = False
        self._start = time.monotonic()

    def go(self) -> int:
        """Boot, listen to the end, write results.json, print the summary; the exit status."""
        scenarios = [f"{reboot.DEVICE} {name}" for name in reboot.names()]
        wanted = [word for word in self._only if any(word in scenario for scenario in scenarios)]
        trouble = ""
        try:
            if not self._only or len(wanted) < len(self._only):
                trouble = self._bench()
                if trouble and self._kernel_was_stuck():
                    trouble = self._bench()
            if not self._only or wanted:
                with tempfile.TemporaryDirectory(prefix="sco-vm-") as folder:
                    reboot.run_all(self._kit, interpreter(ROOT), self._out, Path(folder), self._report)
        except GuestFailed as error:
            trouble = str(error)
        return self._judge(trouble)

    def _bench(self) -> str:
        """Run the suites in a guest; returns what went wrong with the guest itself."""
        with tempfile.TemporaryDirectory(prefix="sco-vm-") as folder:
            guest = Guest(
                self._kit,
                repo=ROOT,
                python=interpreter(ROOT),
                program=[str(Path(__file__).with_name("guest")), *self._only],
                out=self._out,
                run_folder=Path(folder),
            )
            try:
                for message in guest.messages(silence_s=300, whole_s=self._limit):
                    self._take(message, guest)
                    if self._done:
                        return ""
            except GuestFailed as error:
                return str(error)
            finally:
                guest.stop()
        return "the guest ended before it was done"

    def _kernel_was_stuck(self) -> bool:
        """Whether the guest's kernel locked up before anything failed.

        A virtual processor that waits endlessly for the other one is the emulator's fault: the bench starts again,
        once. A line is printed, and the console is kept.
        """
        console = self._out / CONSOLE
        if "soft lockup" not in console.read_text(errors="replace"):
            return False
        if any(result["outcome"] == "failed" for result in self.results):
            return False
        kept = console.rename(self._out / "stuck-console.log")
        at = time.monotonic() - self._start
        print(f"[{at:5.1f}] AGAIN: the guest's kernel locked up (see {kept}); all checks start again", flush=True)
        self.results.clear()
        return True

    def _take(self, message: dict[str, Any], guest: Guest) -> None:
        if "note" in message:
            print(f"[{time.monotonic() - self._start:5.1f}] {message['note']}", flush=True)
        elif "check" in message:
            self._report(message)
        elif "look" in message:
            guest.answer(codes=guest.look(self._out / f"{message['look']}.png"))
        elif "type" in message:
            guest.type(message["type"])
            guest.answer(typed=True)
        elif message.get("done"):
            self._done = True

    def _report(self, result: dict[str, Any]) -> None:
        """A check has ended."""
        self.results.append(result)
        words = {"passed": "ok  ", "failed": "FAIL", "skipped": "SKIPPED"}[result["outcome"]]
        detail = f": {result['detail']}" if result["detail"] else ""
        at, took = time.monotonic() - self._start, result["seconds"]
        print(f"[{at:5.1f}] {words} {result['device']} {result['check']} {took} s{detail}", flush=True)

    def _judge(self, trouble: str) -> int:
        counts = Counter(result["outcome"] for result in self.results)
        if trouble:
            counts["failed"] += 1
            print(f"FAIL the virtual bench itself: {trouble}")
            print(f"its consoles are in {self._out}")
        seconds = round(time.monotonic() - self._start, 1)
        document = {
            "machine": platform.platform(),
            "kernel": self._kit.release,
            "seconds": seconds,
            "trouble": trouble,
            "counts": dict(counts),
            "results": self.results,
        }
        (self._out / "results.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
        for result in self.results:
            if result["outcome"] == "failed":
                print(f"FAILED {result['device']} {result['check']}: {result['detail']}")
        for result in self.results:
            if result["outcome"] == "skipped":
                print(f"SKIPPED {result['device']} {result['check']}: {result['detail']}")
        if counts["failed"]:
            self._print_consoles()
        skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
        print(f"{counts['passed']} passed, {counts['failed']} failed{skipped} in {seconds} s on real kernel devices")
        return 1 if counts["failed"] or not counts["passed"] else 0

    def _print_consoles(self) -> None:
        """The ends of the guests' consoles: in a remote run their files are not at hand."""
        for log in sorted(self._out.glob("*console.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"--- the last of {len(lines)} lines of {log.name}", *lines[-CONSOLE_LINES:], "---", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
