"""Where a journal is to lie. What a user may not do is played: these tests may run as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sco_payment.journal import Journal, JournalUnwritable, location
from tests.payment.journal.kit import opened

MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/sda1 rw
23 22 0:22 / /run rw - tmpfs tmpfs rw
24 22 0:23 / /var/lib/my\\040shop rw - ext4 /dev/sdb1 rw
25 22 0:24 / /srv rw - ext4 /dev/sdc1 rw
26 22 0:25 / /srv rw shared:1 - nfs4 server:/srv rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/run/sco/journal.db", "on tmpfs"),
        ("/runaway/journal.db", None),
        ("/var/lib/my shop/journal.db", None),
        ("/srv/journal.db", "on nfs4, in the network"),
    ],
)
def test_a_file_system_that_loses_a_journal_is_reported(tmp_path: Path, path: str, words: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS, "utf-8")
    warning = location.warning(Path(path), str(mounts))
    assert (warning is None) if words is None else words in str(warning)
    assert location.warning(Path(path), str(tmp_path / "none")) is None


def test_an_impossible_location_is_reported(tmp_path: Path) -> None:
    assert location.problems(tmp_path / "journal.db") == []
    assert "~ is not expanded here" in location.problems(Path("~/sco/journal.db"))[0]
    assert "is a folder" in location.problems(tmp_path)[0]
    assert "no such folder" in location.problems(tmp_path / "none" / "journal.db")[0]


def test_a_location_that_this_user_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal.db"
    journal.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert [problem.partition(":")[0] for problem in location.problems(journal)] == [str(tmp_path), str(journal)]


def test_a_location_that_this_user_may_not_even_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    assert "Permission denied: is this the lane's own user?" in location.problems(tmp_path / "journal.db")[0]


def test_a_disk_that_the_kernel_has_made_read_only_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the user's rights are wrong; what the journal holds can still be read, in a copy."""

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)
    assert location.READ_ONLY in location.problems(tmp_path / "journal.db")[0]
    (tmp_path / "other.db").touch()
    (tmp_path / "other.db-wal").mkdir()
    with pytest.raises(JournalUnwritable, match="mounted read-only"):
        Journal(tmp_path / "other.db", read_only=True)
    (tmp_path / "journal.db.lock").mkdir()
    with pytest.raises(JournalUnwritable, match="copy it and its -wal"):
        opened(tmp_path / "journal.db")


def test_a_closed_journal_is_reported_as_closed(tmp_path: Path) -> None:
    """Nothing is wrong with the disk."""
    journal = opened(tmp_path / "journal.db")
    journal.close()
    with pytest.raises(JournalUnwritable, match="it is already closed"):
        journal.cases()
