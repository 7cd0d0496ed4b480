"""The pages of a session: login, logout, another password."""

from __future__ import annotations

from starlette.responses import Response

from sco_fleet.office.access import LoginRefused, UserError, audit, log_in, log_out, new_password, set_password
from sco_fleet.office.passwords import matches
from sco_fleet.office.web import Page, local_path, set_session
from sco_fleet.query import Connection, one


def home(page: Page, db: Connection) -> Response:
    """The list of lanes."""
    return page.redirect("lanes")


def login_form(page: Page, db: Connection) -> Response:
    """The form."""
    return page.html("login.html", next=local_path(page.query.get("next", "")))


def login(page: Page) -> Response:
    """Begin a session."""
    wanted = local_path(page.form.get("next", ""))
    try:
        secret = log_in(page.office.pool, page.form.get("name", ""), page.form.get("password", ""), page.address)
    except LoginRefused as refusal:
        status = 429 if refusal.code == "too_many_logins" else 403
        return page.html("login.html", status=status, next=wanted, problem=page.say(refusal.code))
    answer = page.redirect(wanted or "lanes")
    set_session(page, answer, secret)
    return answer


def logout(page: Page, db: Connection) -> Response:
    """End the session."""
    with db.transaction():
        log_out(db, page.secret)
        audit(db, page.who.name, page.address, "logout", page.who.name)
    answer = page.redirect("login")
    set_session(page, answer, "")
    return answer


def password_form(page: Page, db: Connection) -> Response:
    """The form."""
    return page.html("password.html")


def password(page: Page) -> Response:
    """Another password for the user."""
    pool, name = page.office.pool, page.who.name
    with pool.connection() as db:
        stored = one(db, "SELECT password FROM office_users WHERE name = %(name)s", name=name).get("password")
    if not matches(page.form.get("old", ""), stored):
        return page.html("password.html", status=403, problem=page.say("wrong_password"))
    try:
        changed = new_password(page.form.get("new", ""))
        with pool.connection() as db:
            set_password(db, name, changed, by=name, address=page.address, keep=page.secret)
    except UserError:
        return page.html("password.html", status=400, problem=page.say("password_hint"))
    return page.html("password.html", done=page.say("password_changed"))
