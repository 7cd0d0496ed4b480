"""`sco-fleet user`: the page's users on the command line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from sco_fleet.cli.main import main
from tests.fleet.office.kit import Office, Visitor

pytestmark = pytest.mark.program("pg_createcluster")


def user(office: Office, *arguments: str, password: str = "") -> Result:
    command, *rest = arguments
    return CliRunner().invoke(main, ["user", command, "--database", office.database, *rest], input=f"{password}\n")


def test_a_user_is_added_changed_and_disabled(office: Office) -> None:
    visitor = Visitor(office.server)
    added = user(
        office, "add", "ivanova", "--role", "decider", "--full-name", "Иванова А. П.", password="first password"
    )
    assert (added.exit_code, added.output) == (0, "")
    assert visitor.log_in("ivanova", "first password").status == 303
    assert "ivanova  decider  enabled  Иванова А. П." in user(office, "list").output
    assert user(office, "password", "ivanova", password="second password").exit_code == 0
    assert visitor.get("lanes").status == 303  # the session has ended
    assert visitor.log_in("ivanova", "second password").status == 303
    assert user(office, "disable", "ivanova").exit_code == 0
    assert visitor.get("lanes").status == 303
    assert "ivanova  decider  disabled" in user(office, "list").output
    assert user(office, "enable", "ivanova").exit_code == 0
    assert visitor.log_in("ivanova", "second password").status == 303
    done = office.rows(
        "SELECT action, user_name FROM office_audit WHERE subject = 'ivanova' AND action <> 'login' ORDER BY id"
    )
    assert [one["action"] for one in done] == ["user_added", "password", "user_disabled", "user_enabled"]
    assert all(one["user_name"].startswith("command line") for one in done)


@pytest.mark.parametrize(
    ("arguments", "password", "said"),
    [
        (("add", "viewer", "--role", "viewer"), "long enough", "user viewer already exists"),
        (("add", "Ivanova", "--role", "viewer"), "long enough", "small Latin letters"),
        (("add", "ivanova", "--role", "viewer"), "short", "10 to 200 characters"),
        (("password", "nobody"), "long enough", "there is no user nobody"),
        (("disable", "nobody"), "", "there is no user nobody"),
    ],
)
def test_a_mistake_is_named(office: Office, arguments: tuple[str, ...], password: str, said: str) -> None:
    done = user(office, *arguments, password=password)
    assert done.exit_code == 1
    assert said in done.output
    assert len(office.rows("SELECT 1 FROM office_users")) == 3
