"""What the pages show of what lanes have sent."""

from __future__ import annotations

import pytest

from tests.fleet.kit import Fleet
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")


def test_every_page_is_shown_in_both_languages(office: Office, lane: Fleet) -> None:
    office.execute(
        "INSERT INTO bundles (lane_id, version, stage, bundle, hash, content, status, reason)"
        " VALUES ('lane-1', 14, 1, '', '', '', 'refused', 'display.mode: 9')"
    )
    visitor = office.visitor("administrator")
    case = office.rows("SELECT * FROM cases ORDER BY number LIMIT 1")[0]
    paths = [
        "lanes", "cases", "cases?state=all", "payments", "alarms", "alarms?show=all", "audit", "users",
        "reconciliation", "rollouts", "password", f"lane?id={case['lane_id']}",
        f"case?lane={case['lane_id']}&journal={case['epoch']}&number={case['number']}",
        f"payment?lane={case['lane_id']}&journal={case['epoch']}&attempt={case['attempt']}",
    ]  # fmt: skip
    for language in ("ru", "en"):
        for path in paths:
            answer = visitor.get(
                path, headers={"Cookie": f"sco_office={visitor.cookies['sco_office']}; sco_language={language}"}
            )
            assert answer.status == 200, (path, answer.source)
            assert f'<html lang="{language}">' in answer.source
            assert ("display.mode: 9" in answer.text) is path.startswith("lane?")
