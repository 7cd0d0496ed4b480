"""A bundle that was changed, cut, meant for another lane, or is old, is refused with its reason."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sco_payment.fleet import bundle as bundles
from sco_payment.fleet.bundle import BundleRefused, read, signed_bytes, verified
from tests.fleet.settings.kit import KEY, LANE, SPARE, STRANGER, bundle, changed
from tests.verification.seeded import Patch, SeededFault, seeded

KEYS = (KEY.public,)


def refusal(text: str, *, keys: tuple[str, ...] = KEYS, lane: str = LANE, newest: int = 0) -> str:
    """Why it is refused; empty if it is not."""
    try:
        verified(text, keys=keys, lane=lane, newest=newest)
    except BundleRefused as error:
        return str(error)
    return ""


def rehashed(text: str, old: str, new: str) -> str:
    """A bundle that says something else and is whole: only the signature can show it."""
    inner = json.loads(text)["payload"].replace(old, new)
    assert inner != json.loads(text)["payload"]
    return changed(text, payload=inner, hash=hashlib.sha256(inner.encode()).hexdigest())


def test_a_good_bundle_is_taken() -> None:
    found = verified(bundle(7), keys=KEYS, lane=LANE, newest=6)
    assert (found.lane, found.version, found.made_at_ms) == (LANE, 7, 1_000)
    assert found.settings == {"timing": {"grace_s": 607}}
    assert found.layers == {"chain": 7}


def test_either_of_two_keys_will_do() -> None:
    for key in (KEY, SPARE):
        assert refusal(bundle(1, key=key), keys=(KEY.public, SPARE.public)) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rehashed(bundle(7), "607", "608"), "changed after it was signed"),
        (rehashed(bundle(7), '"version":7', '"version":8'), "changed after it was signed"),
        (changed(bundle(7), signature=json.loads(bundle(8))["signature"]), "changed after it was signed"),
        (changed(bundle(7), signature=""), "changed after it was signed"),
        (changed(bundle(7), signature="no base64"), "changed after it was signed"),
        (changed(bundle(7), signature=None), "changed after it was signed"),
        (changed(bundle(7), payload="{}"), "damaged"),
        (changed(bundle(7), payload=None), "damaged"),
        (bundle(7, key=STRANGER), "fleet.settings_key does not have"),
        (changed(bundle(7, key=STRANGER), key=json.loads(bundle(7))["key"]), "changed after it was signed"),
        (bundle(7, lane="lane-2"), "is for the lane lane-2; this is lane-1"),
        (bundle(6), "not newer than version 6"),
        (bundle(5), "not newer than version 6"),
        (bundle(7, {"devices": {"printer": "tcp://10.0.0.5:9100"}}), "own settings file sets devices.printer"),
        (bundle(7, {"lane": {"pos_id": "lane-9"}, "fleet": {"url": ""}}), "sets fleet.url, lane.pos_id"),
        ("", "cut short"),
        ("[]", "cut short"),
        ("[" * 5000, "cut short"),
        (" " * (bundles.LONGEST + 1), "cut short"),
    ],
)
def test_another_is_refused(text: str, reason: str) -> None:
    assert reason in refusal(text, newest=6)


def test_every_cut_is_refused() -> None:
    text = bundle(7)
    assert all(refusal(text[:length]) for length in range(len(text)))


def test_every_changed_character_is_refused() -> None:
    text = bundle(7)
    for at, char in enumerate(text):
        other = text[:at] + ("x" if char != "x" else "y") + text[at + 1 :]
        assert refusal(other), other


def test_a_form_of_a_later_release_is_named_as_one() -> None:
    inner = json.dumps({"lane": LANE, "settings": "another form"})
    text = changed(bundle(7), payload=inner, hash=hashlib.sha256(inner.encode()).hexdigest())
    with pytest.raises(BundleRefused, match="update sco-paymaster on the lane"):
        read(text)


def test_without_the_library_a_lane_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nacl", "nacl.exceptions", "nacl.signing"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "pip install 'sco-paymaster[fleet-lane]'" in refusal(bundle(7))


def test_other_libraries_judge_the_signature_alike() -> None:
    envelope = json.loads(bundle(7))
    raw = base64.b64decode(KEY.public.removeprefix("ed25519:"))
    signature = base64.b64decode(envelope["signature"])
    Ed25519PublicKey.from_public_bytes(raw).verify(signature, signed_bytes(envelope["payload"]))


@pytest.mark.program("openssl")
def test_openssl_judges_the_signature_alike(tmp_path: Path) -> None:
    envelope = json.loads(bundle(7))
    raw = base64.b64decode(KEY.public.removeprefix("ed25519:"))
    (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)  # RFC 8410
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signature"]))
    for text, status in ((envelope["payload"], 0), (envelope["payload"] + " ", 1)):
        (tmp_path / "signed").write_bytes(signed_bytes(text))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin"]
        command += ["-in", "signed", "-sigfile", "signature"]
        assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == status


def _judge() -> str | None:
    """The first kind of bundle that a lane takes and must not."""
    for what, text in (
        ("changed", rehashed(bundle(7), "607", "608")),
        ("old", bundle(5)),
        ("other lane", bundle(7, lane="lane-2")),
        ("local", bundle(7, {"journal": {"path": "/tmp/j"}})),
    ):
        if not refusal(text, newest=6):
            return what
    return None


def test_each_check_that_is_left_out_is_noticed() -> None:
    assert _judge() is None
    for name, breaks in (
        ("_check_signature", "changed"),
        ("_check_version", "old"),
        ("_check_lane", "other lane"),
        ("local_in", "local"),
    ):
        fault = SeededFault(f"{name} is left out", frozenset({breaks}), (Patch(bundles, name, lambda _: _nothing),))
        with seeded(fault):
            assert _judge() in fault.breaks, fault.name
    assert _judge() is None


def _nothing(*_: object) -> list[str]:
    return []
