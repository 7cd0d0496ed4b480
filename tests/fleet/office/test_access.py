"""Who gets in, for how long, and what each role may do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections import Counter
from urllib.parse import urlsplit

import psycopg
import pytest

from sco_fleet import pool
from sco_fleet.app import create_app
from sco_fleet.office import access, passwords, web
from sco_fleet.office.app import ROUTES
from tests.fleet.kit import listening
from tests.fleet.office.kit import Office, Visitor

pytestmark = pytest.mark.program("pg_createcluster")

_GETS = [(path, get[1]) for path, get, _ in ROUTES if get]
_POSTS = [(path, post[1]) for path, _, post in ROUTES if post]


@pytest.mark.parametrize("role", ["", *access.ROLES])
def test_each_role_reaches_its_pages_and_no_others(office: Office, role: str) -> None:
    visitor = office.visitor(role)
    for path, needed in _GETS:
        status = visitor.get(path).status
        if needed is None:
            assert status == 200, path
        elif not role:
            assert status == 303, path
        elif access.ROLES.index(role) < access.ROLES.index(needed):
            assert status == 403, path
        else:
            assert status in (200, 303, 404), path  # 404: a case, lane or run that is not named


@pytest.mark.parametrize("role", ["", *access.ROLES])
def test_each_role_can_send_its_forms_and_no_others(office: Office, role: str) -> None:
    for path, needed in _POSTS:
        visitor = office.visitor(role)
        status = visitor.send(path, {}).status
        if needed is None:
            continue
        if not role or access.ROLES.index(role) < access.ROLES.index(needed):
            assert status == 403, path
        else:
            assert status in (303, 400, 403, 404), path
            assert office.rows("SELECT count(*) AS n FROM decisions")[0]["n"] == 0


def test_a_form_needs_the_token_of_its_session(office: Office) -> None:
    visitor, other = office.visitor("decider"), office.visitor("decider")
    for token in (None, "0" * 64, other.csrf()):
        for path, needed in _POSTS:
            if needed is not None:
                assert visitor.send(path, {"id": "1", "day": "2026-01-01"}, csrf=token).status == 403, path
    assert visitor.get("lanes").status == 200  # the logout was refused, too
    assert visitor.send("logout", {}).status == 303


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused(office: Office, headers: dict[str, str]) -> None:
    visitor = office.visitor("decider")
    assert visitor.send("logout", {}, headers=headers).status == 403
    login = {"name": "viewer", "password": "password of viewer"}
    assert Visitor(office.server).send("login", login, csrf=None, headers=headers).status == 403


def test_the_session_is_kept_in_a_cookie_that_scripts_and_other_sites_do_not_get(office: Office) -> None:
    answer = Visitor(office.server).log_in("viewer", "password of viewer")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/office" in cookie
    secret = re.search(r"sco_office=([^;]+)", cookie)
    assert secret is not None
    assert not office.rows("SELECT 1 FROM office_sessions WHERE secret_hash = %(it)s", it=secret[1].encode())


@pytest.mark.parametrize(
    ("column", "ended"), [("last_at", "31 minutes"), ("begun_at", "12 hours 1 minute"), ("last_at", "1 year")]
)
def test_a_session_ends(office: Office, column: str, ended: str) -> None:
    visitor = office.visitor("viewer")
    assert visitor.get("lanes").status == 200
    office.execute(f"UPDATE office_sessions SET {column} = now() - interval '{ended}'")
    answer = visitor.get("cases", state="all")
    assert answer.status == 303
    assert answer.headers["Location"] == "/office/login?next=cases%3Fstate%3Dall"


def test_a_page_that_reloads_by_itself_keeps_no_session_open(office: Office) -> None:
    visitor = office.visitor("viewer")
    office.execute(
        "INSERT INTO reconciliations (day, time_zone, source, made_by) VALUES ('2026-01-01', 'UTC', 'list', 'x')"
    )
    office.execute("UPDATE office_sessions SET last_at = now() - interval '20 minutes'")
    left = "SELECT now() - last_at > interval '19 minutes' AS left FROM office_sessions"
    page = visitor.get("run?id=1&auto=1&kind=amount")
    assert office.rows(left)[0]["left"]
    found = re.search(r'http-equiv="refresh" content="\d+; url=([^"]+)"', page.source)
    assert found is not None
    assert found[1] == "?id=1&amp;kind=amount&amp;auto=1"
    assert page.source.count("auto=1") == 1  # in no link that somebody follows
    office.execute("UPDATE office_sessions SET last_at = now() - interval '31 minutes'")
    assert visitor.get("run?id=1&auto=1").headers["Location"] == "/office/login?next=run%3Fid%3D1"
    visitor = office.visitor("viewer")
    office.execute("UPDATE office_sessions SET last_at = now() - interval '20 minutes'")
    visitor.get("run?id=1")
    assert not office.rows(f"{left} ORDER BY last_at DESC")[0]["left"]


def test_what_is_used_stays_open_and_ends_all_the_same(office: Office) -> None:
    visitor = office.visitor("viewer")
    office.execute("UPDATE office_sessions SET last_at = now() - interval '20 minutes'")
    assert visitor.get("lanes").status == 200
    assert office.rows("SELECT 1 FROM office_sessions WHERE last_at > now() - interval '1 minute'")


def test_a_disabled_user_is_out_at_once(office: Office) -> None:
    visitor = office.visitor("decider")
    with psycopg.connect(office.database, autocommit=True) as db:
        access.disable(db, "decider", by="test")
    assert visitor.get("lanes").status == 303
    assert visitor.log_in("decider", "password of decider").status == 403
    with psycopg.connect(office.database, autocommit=True) as db:
        access.disable(db, "decider", by="test", yes=False)
    assert visitor.log_in("decider", "password of decider").status == 303


def test_another_password_ends_the_other_sessions(office: Office) -> None:
    mine, other = office.visitor("viewer"), office.visitor("viewer")
    wrong = mine.send("password", {"old": "password of nobody", "new": "a new password"})
    assert wrong.status == 403
    assert mine.send("password", {"old": "password of viewer", "new": "short"}).status == 400
    assert mine.send("password", {"old": "password of viewer", "new": "a new password"}).status == 200
    assert mine.get("lanes").status == 200
    assert other.get("lanes").status == 303
    assert other.log_in("viewer", "password of viewer").status == 403
    assert other.log_in("VIEWER ", "a new password").status == 303


def test_guessing_is_slowed_down(office: Office) -> None:
    visitor = Visitor(office.server)
    assert [visitor.log_in("viewer", "wrong").status for _ in range(6)] == [403] * 5 + [429]
    assert visitor.log_in("viewer", "password of viewer").status == 429
    assert visitor.log_in("decider", "password of decider").status == 303
    office.execute("UPDATE office_login_failures SET at = at - interval '16 minutes'")
    assert visitor.log_in("viewer", "password of viewer").status == 303


def test_many_guesses_at_once_are_many_guesses(office: Office) -> None:
    found: Counter[int] = Counter()
    lock = threading.Lock()

    def guess(number: int) -> None:
        status = Visitor(office.server).log_in("viewer", f"wrong {number}").status
        with lock:
            found[status] += 1

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {403, 429}
    assert found[403] <= 5 + 8  # those whose count was asked before the others' was noted: a connection each


def test_a_login_leads_back_to_the_page_and_nowhere_else(office: Office) -> None:
    login = {"name": "viewer", "password": "password of viewer"}
    for wanted, led in (
        ("cases?state=all", "/office/cases?state=all"),
        ("//evil.example", "/office/lanes"),
        ("https://evil.example/", "/office/lanes"),
        ("javascript:alert(1)", "/office/lanes"),
        ("/\\evil.example", "/office/lanes"),
        ("lanes\r\nSet-Cookie: a=b", "/office/lanes"),
    ):
        answer = Visitor(office.server).send("login", {**login, "next": wanted}, csrf=None)
        assert answer.headers["Location"] == led


def test_every_answer_keeps_the_page_to_itself(office: Office) -> None:
    visitor = office.visitor("viewer")
    for path in ("lanes", "login", "nothing", "office.css", "lanes.csv", "audit"):
        headers = visitor.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"], path
        assert "script-src" not in headers["Content-Security-Policy"], path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == ("max-age=300" if path == "office.css" else "no-store")


def test_a_form_that_is_too_long_is_refused(office: Office) -> None:
    visitor = office.visitor("decider")
    assert visitor.send("alarms/seen", {"id": "1" * 70_000}).status == 413


@pytest.mark.parametrize(("path", "kind"), [("login", "form"), ("reconciliation", "file")])
def test_a_body_that_does_not_end_is_answered(
    office: Office, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
) -> None:
    """Each byte in time, and the whole never: nobody may hold a connection with that, logged in or not."""
    monkeypatch.setattr(web, f"{kind.upper()}_WITHIN_S", 0.3)
    parts = urlsplit(office.server)
    cookies = office.visitor("decider").cookies if kind == "file" else {}
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30) as slow:
        head = (
            f"POST /office/{path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 100000\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\n"
            f"Cookie: {'; '.join(f'{name}={value}' for name, value in cookies.items())}\r\n\r\n"
        )
        slow.sendall(head.encode())
        slow.settimeout(0.05)
        found = b""
        for _ in range(600):
            with contextlib.suppress(TimeoutError):
                found = slow.recv(4096)
                break
            with contextlib.suppress(ConnectionError):  # it may be closed just now; what was answered is still there
                slow.sendall(b"a")
    assert b" 408 " in found.splitlines()[0]


def test_a_page_that_is_not_there_reads_nothing(office: Office) -> None:
    parts = urlsplit(office.server)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30) as slow:
        slow.sendall(b"POST /office/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert b" 405 " in slow.recv(4096).splitlines()[0]


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=W10", "after=W251bGwsMV0", "after=WzEsMSwxLDFd", "order=%00", "from=yesterday", "lang=%FF"],
)
def test_a_query_that_says_nothing_is_told_so(office: Office, query: str) -> None:
    answer = office.visitor("viewer").get(f"payments?{query}")
    assert answer.status in (200, 400)
    assert "Traceback" not in answer.source


def test_the_audit_cannot_be_changed(office: Office) -> None:
    office.visitor("viewer")
    for statement in ("DELETE FROM office_audit", "UPDATE office_audit SET user_name = 'x'", "TRUNCATE office_audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="only added to"):
            office.execute(statement)


def test_what_users_do_is_in_the_audit(office: Office) -> None:
    visitor = office.visitor("administrator")
    visitor.get("payments.csv", order="42")
    visitor.send("password", {"old": "password of administrator", "new": "a new password"})
    visitor.send("logout", {})
    Visitor(office.server).log_in("viewer", "wrong")
    done = office.rows("SELECT user_name, address, action, subject, detail FROM office_audit ORDER BY id")
    assert [tuple(one.values()) for one in done[3:]] == [
        ("administrator", "127.0.0.1", "login", "administrator", ""),
        ("administrator", "127.0.0.1", "export", "payments", "order"),
        ("administrator", "127.0.0.1", "password", "administrator", ""),
        ("administrator", "127.0.0.1", "logout", "administrator", ""),
        ("viewer", "127.0.0.1", "login_failed", "viewer", ""),
    ]


def test_passwords_are_stored_as_salted_hashes() -> None:
    first, second = passwords.hashed("correct horse battery"), passwords.hashed("correct horse battery")
    assert first != second
    assert "correct" not in first
    assert passwords.matches("correct horse battery", first)
    assert not passwords.matches("correct horse batterY", first)
    assert not passwords.matches("", None)


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [("Ivanova", "viewer", "long enough"), ("a b", "viewer", "long enough"), ("ivanova", "king", "long enough"),
     ("ivanova", "viewer", "short"), ("viewer", "viewer", "long enough")],
)  # fmt: skip
def test_a_user_who_cannot_be_is_refused(office: Office, name: str, role: str, password: str) -> None:
    with psycopg.connect(office.database, autocommit=True) as db, pytest.raises(access.UserError):
        access.add_user(db, name, role, password, full_name="", by="test")
    assert len(office.rows("SELECT 1 FROM office_users")) == 3


def test_behind_a_proxy_that_speaks_tls_the_cookie_goes_over_tls_only(office: Office) -> None:
    login = {"name": "viewer", "password": "password of viewer"}
    headers = {"X-Forwarded-Proto": "https"}
    answer = Visitor(office.server).send("login", login, csrf=None, headers=headers)
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_without_its_database_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "WAIT_S", 0.2)
    nowhere = pool.open_pool("postgresql://nobody@127.0.0.1:1/none")
    with listening(create_app(nowhere)) as url:
        answer = Visitor(url).get("login", headers={"Accept-Language": "en"})
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "10"
    assert "The database cannot be reached" in answer.text
    assert "the database: couldn't get a connection" in caplog.text


def test_a_page_that_is_newer_than_its_tables_says_so_and_tells_the_log_what_to_do(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = office.visitor("viewer")
    with psycopg.connect(office.database, autocommit=True) as db:
        db.execute("ALTER TABLE cases DROP COLUMN reason CASCADE")
    answer = visitor.get("cases")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert "run `sco-fleet migrate`" in caplog.text
