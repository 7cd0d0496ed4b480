"""Settings on the lane's disk: whatever dies and whenever, exactly the old or the new ones are in force, and whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sco_payment.fleet import settings_store
from sco_payment.fleet.settings_store import STARTS, OtherLane, Store
from tests.fleet.settings.disk import run
from tests.fleet.settings.kit import LANE, bundle, files, whole
from tests.verification.seeded import Patch, SeededFault, seeded

NONE, OLD, NEW = 0, 1, 2
BEFORE = {"settings.json": OLD, "previous.json": OLD}
"""The files of a lane that has got its first settings."""


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is synced is remembered here and not waited for."""
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A lane that runs with the old settings."""
    return with_old(tmp_path / "j.settings")


def with_old(folder: Path) -> Store:
    folder.mkdir()
    for name in BEFORE:
        (folder / name).write_text(bundle(OLD))
    return Store(folder, LANE)


def version(store: Store) -> int:
    found = store.in_force()
    return 0 if found is None else found.version


def test_nothing_was_given(tmp_path: Path) -> None:
    store = Store(tmp_path / "none", LANE)
    assert store.in_force() is None
    assert store.waiting() is None
    assert store.begin() is None
    assert store.report() is None
    assert not store.is_on_trial()


def test_new_settings_wait_for_the_next_start(store: Store) -> None:
    store.take(whole(NEW))
    assert (version(store), store.is_on_trial()) == (OLD, False)
    trial = store.begin()
    assert trial is not None
    assert (version(store), store.is_on_trial()) == (NEW, True)
    store.confirm(trial)
    assert (version(store), store.is_on_trial()) == (NEW, False)
    assert files(store.folder) == {"settings.json": NEW, "previous.json": OLD}
    assert store.report() == {"version": NEW, "hash": whole(NEW).hash, "status": "applied", "reason": ""}


def test_settings_that_a_lane_cannot_run_with_are_refused(store: Store) -> None:
    store.take(whole(NEW))
    trial = store.begin()
    assert trial is not None
    store.refuse(trial, "no screen")
    assert version(store) == OLD
    assert files(store.folder) == BEFORE
    report = store.report()
    assert report == {"version": NEW, "hash": whole(NEW).hash, "status": "refused", "reason": "no screen"}
    assert store.begin() is None
    store.reported({**report, "version": 9})
    assert store.report() == report
    store.reported(report)
    assert store.report() is None


def test_a_full_disk_does_not_keep_a_lane_with_settings_that_it_cannot_run_with(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.take(whole(NEW))
    for _ in range(STARTS):
        assert store.begin() is not None

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_write", full)
    assert store.begin() is None
    assert version(store) == OLD


def test_a_lane_that_never_comes_up_goes_back_by_itself(store: Store) -> None:
    store.take(whole(NEW))
    for _ in range(STARTS):
        assert store.begin() is not None
        assert version(store) == NEW
    assert store.begin() is None
    assert version(store) == OLD
    report = store.report()
    assert report is not None
    assert (report["status"], report["reason"]) == (
        "refused",
        "the lane did not come up with these settings in 2 starts",
    )


def test_a_start_that_is_postponed_does_not_count(store: Store) -> None:
    store.take(whole(NEW))
    for _ in range(2 * STARTS):
        trial = store.begin()
        assert trial is not None
        store.postpone(trial)
    assert files(store.folder) == BEFORE | {"trial-0.json": NEW}


def test_newer_ones_are_not_lost_by_a_start_that_is_postponed(store: Store) -> None:
    store.take(whole(NEW))
    trial = store.begin()
    assert trial is not None
    store.take(whole(3))
    store.postpone(trial)
    assert files(store.folder) == BEFORE | {"trial-0.json": 3}


def test_withdrawn_ones_are_forgotten(store: Store) -> None:
    store.take(whole(NEW))
    store.withdraw()
    assert store.begin() is None
    assert files(store.folder) == BEFORE


def test_a_damaged_file_gives_way_to_the_one_before(store: Store) -> None:
    store.take(whole(NEW))
    trial = store.begin()
    assert trial is not None
    store.confirm(trial)
    (store.folder / "settings.json").write_text(bundle(NEW)[:100])
    assert version(store) == OLD
    (store.folder / "previous.json").unlink()
    with pytest.raises(ValueError, match=r"settings\.json and previous\.json are damaged: remove the folder"):
        store.in_force()
    (store.folder / "settings.json").unlink()
    assert version(store) == 0


def test_no_older_version_is_taken_than_any_that_is_still_there(store: Store) -> None:
    assert store.newest_version() == OLD
    store.take(whole(NEW))
    assert store.newest_version() == OLD  # what waits can be withdrawn
    trial = store.begin()
    assert store.newest_version() == NEW
    assert trial is not None
    store.confirm(trial)
    store.take(whole(3))
    comes_up(store)
    (store.folder / "settings.json").unlink()
    assert (version(store), store.newest_version()) == (NONE, NEW)
    shutil.rmtree(store.folder)
    assert store.newest_version() == NONE


def test_the_first_settings_have_a_second_copy(tmp_path: Path) -> None:
    store = Store(tmp_path / "first", LANE)
    store.take(whole(NEW))
    comes_up(store)
    assert files(store.folder) == {"settings.json": NEW, "previous.json": NEW}
    (store.folder / "settings.json").write_text("{")
    assert version(store) == NEW


def test_a_damaged_file_is_not_kept_instead_of_the_one_before(store: Store) -> None:
    store.take(whole(NEW))
    comes_up(store)
    (store.folder / "settings.json").write_text("{")
    store.take(whole(3))
    trial = store.begin()
    assert trial is not None
    store.confirm(trial)
    assert files(store.folder) == {"settings.json": 3, "previous.json": OLD}


def test_a_user_who_may_not_read_them_is_told(store: Store) -> None:
    user = os.geteuid()
    store.folder.chmod(0)
    if not user:
        os.seteuid(65534)
    try:
        with pytest.raises(ValueError, match=r"settings\.json: Permission denied: run this as the lane's user"):
            store.in_force()
    finally:
        os.seteuid(user)
        store.folder.chmod(0o700)


@pytest.mark.parametrize("name", ["settings.json", "trial-0.json", "trial-1.json", "trial-2.json"])
def test_settings_of_another_lane_are_never_in_force_and_stay_as_they_are(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    (folder / name).write_text(bundle(NEW))
    copied = Store(folder, "lane-2")
    with pytest.raises(OtherLane, match=r"has settings of the lane lane-1, and this is lane-2: .* Remove the folder"):
        copied.in_force() if name != "trial-0.json" else copied.waiting()
    if name != "settings.json":
        with pytest.raises(OtherLane):
            copied.begin()
    assert files(folder) == {name: NEW}
    assert copied.report() is None


def test_a_damaged_trial_is_dropped(store: Store) -> None:
    (store.folder / "trial-0.json").write_text("{")
    assert store.begin() is None
    assert files(store.folder) == BEFORE


def test_only_the_lane_may_read_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "new", LANE)
    store.take(whole(NEW))
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert (store.folder / "trial-0.json").stat().st_mode & 0o777 == 0o600


# --- death at each point ------------------------------------------------------------------------------------------


def comes_up(store: Store) -> None:
    """A start of the service that goes well."""
    trial = store.begin()
    if trial is not None:
        store.confirm(trial)


def fails(store: Store) -> None:
    """A start in which the service says why it cannot open."""
    trial = store.begin()
    if trial is not None:
        store.refuse(trial, "no screen")


def stopped(store: Store) -> None:
    """A start that is ended by a person."""
    trial = store.begin()
    if trial is not None:
        store.postpone(trial)


def take(store: Store) -> None:
    store.take(whole(NEW))


def dies(store: Store) -> None:
    """A start in which the service dies before it has come up."""
    store.begin()


LONG_AFTER = 100


def starts_and_works(store: Store) -> None:
    """A start, and work that syncs nothing here."""
    dies(store)
    for _ in range(LONG_AFTER):
        (store.folder / "none").unlink(missing_ok=True)


def whole_life(store: Store) -> None:
    """All of it in one go: a disk may put off what it was not asked to sync."""
    take(store)
    comes_up(store)


STEPS: tuple[Callable[[Store], object], ...] = (take, comes_up, fails, stopped, dies, whole_life)


def broken(folder: Path, step: Callable[[Store], object], *, power: bool, before: int = OLD) -> str | None:
    """What goes wrong when a lane dies at each point of a step, and then starts again; None if nothing does."""
    points = run(prepared(folder / "undisturbed", step, before).folder, step)
    assert points is not None
    for at in range(points + 1):
        dead = prepared(folder / f"{at}", step, before)
        assert (run(dead.folder, step, die_at=at, power=power) is None) == (at > 0)
        for after in (comes_up, fails, dies):
            store = Store(folder / f"{at} {after.__name__}", LANE)
            if dead.folder.exists():
                shutil.copytree(dead.folder, store.folder)
            try:
                problem = judged(store, step, after, power=power, before=before)
            except (OSError, ValueError) as error:
                problem = str(error)
            if problem is not None:
                return (
                    f"{step.__name__}, {'cut' if power else 'killed'} at point {at}, then {after.__name__}: {problem}"
                )
    return None


def prepared(folder: Path, step: Callable[[Store], object], before: int) -> Store:
    folder.parent.mkdir(exist_ok=True)
    store = with_old(folder) if before else Store(folder, LANE)
    if step not in (take, whole_life):
        store.take(whole(NEW))
    return store


def judged(
    store: Store, step: Callable[[Store], object], after: Callable[[Store], object], *, power: bool, before: int
) -> str | None:
    if version(store) not in (before, NEW) or version_if_damaged(store) not in (before, NEW):
        return f"version {version(store)} is in force"
    confirmed = store.confirmed()
    is_new = confirmed is not None and confirmed.version == NEW
    was_given = is_new or store.waiting() is not None or store.is_on_trial()
    if step not in (take, whole_life) and not was_given and (store.report() or {}).get("status") != "refused":
        return "the new settings are gone, and the office does not learn of it"
    for _ in range(STARTS + 1):
        if power and after is dies and (store.waiting() is not None or store.is_on_trial()):
            run(store.folder, starts_and_works, die_at=LONG_AFTER, power=True)
        else:
            after(store)
    expected = NEW if is_new or (was_given and after is comes_up) else before
    if store.is_on_trial() or store.waiting() is not None:
        return "it never ends"
    if version(store) != expected:
        return f"version {version(store)} is in force, not {expected}"
    if expected == before and files(store.folder) != (BEFORE if before else {}):
        return f"{files(store.folder)} are left"
    report = store.report()
    if was_given and not is_new and (report or {}).get("status") != ("applied" if after is comes_up else "refused"):
        return f"the office gets {report}"
    return None


def version_if_damaged(store: Store) -> int:
    """What would be in force if the file of the settings were damaged now. Raises ValueError: nothing could be."""
    file = store.folder / "settings.json"
    if not file.exists():
        return version(store)
    text = file.read_text()
    file.write_text(text[:100])
    try:
        return version(store)
    finally:
        file.write_text(text)


@pytest.mark.parametrize("before", [OLD, NONE], ids=["with settings", "the first ones"])
@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])
@pytest.mark.parametrize("step", STEPS)
def test_one_of_two_whole_files_is_in_force_wherever_a_lane_dies(
    tmp_path: Path, step: Callable[[Store], object], power: bool, before: int
) -> None:
    assert broken(tmp_path, step, power=power, before=before) is None


def unsynced(original: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: Store, name: str, text: str) -> None:
        (self.folder / f"{name}.new").write_text(text)
        self._rename(f"{name}.new", name)

    return write


def unnamed(_: object) -> Callable[[Store, str, str], None]:
    def rename(self: Store, name: str, to: str) -> None:
        (self.folder / name).replace(self.folder / to)

    return rename


def counts_nothing(_: object) -> Callable[[Store], object]:
    def begin(self: Store) -> object:
        bundle = self.waiting()
        return None if bundle is None else settings_store.Trial(bundle, 0)

    return begin


def forgets(_: object) -> Callable[[Store, settings_store.Trial, str], None]:
    def refuse(self: Store, trial: settings_store.Trial, reason: str) -> None:
        self._remove(f"trial-{trial.start}.json")

    return refuse


def takes_away_first(original: Callable[..., Any]) -> Callable[..., Any]:
    def confirm(self: Store, trial: settings_store.Trial) -> None:
        (self.folder / "settings.json").replace(self.folder / "previous.json")
        (self.folder / "none").unlink(missing_ok=True)  # a point to die at
        original(self, trial)

    return confirm


def keeps_no_copy(original: Callable[..., Any]) -> Callable[[Store, settings_store.Trial], None]:
    def confirm(self: Store, trial: settings_store.Trial) -> None:
        original(self, trial)
        if self._read("previous.json") == trial.bundle:
            self._remove("previous.json")

    return confirm


@pytest.mark.parametrize(
    ("name", "method", "make", "step", "power", "before"),
    [
        ("a file gets its name before its bytes are on the disk", "_write", unsynced, whole_life, True, OLD),
        ("a file's name may get lost", "_rename", unnamed, dies, True, OLD),
        ("starts are not counted", "begin", counts_nothing, dies, False, OLD),
        ("a refusal is not reported", "refuse", forgets, fails, False, OLD),
        (
            "the old settings are taken away before the new ones have their name",
            "confirm",
            takes_away_first,
            comes_up,
            False,
            OLD,
        ),
        ("the first settings have no second copy", "confirm", keeps_no_copy, comes_up, False, NONE),
    ],
)
def test_each_seeded_fault_is_noticed(
    tmp_path: Path,
    name: str,
    method: str,
    make: Callable[..., Any],
    step: Callable[[Store], object],
    power: bool,
    before: int,
) -> None:
    with seeded(SeededFault(name, frozenset(), (Patch(Store, method, make),))):
        assert broken(tmp_path, step, power=power, before=before) is not None
