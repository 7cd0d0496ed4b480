"""A till in a process of its own: `python -m tests.verification.service.till POINT FOLDER PORT [CANCEL_AFTER]`.

It pays `ORDERS` one after the other and can be killed at any moment: what it must know is in `till.json`, which is on
disk before anything follows from it. It speaks as the guide says: PUT until it is answered, events with a cursor that
is stored when it was acted on, the payment itself when an outcome is among them, goods only for paid without a case,
then taken until that is answered. An order that ends unpaid is tried once more, under another id. There is a point
before and after each request and each write. The exit status is 0 when every order is done.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.verification.points import Points

ORDERS = (("A-1", 25_300), ("B-2", 9_900))
TRIES = 2
TOKEN = "till-token"
REQUEST_S = 4.0
RETRY_S = 0.05
Json = dict[str, Any]


class Till:
    """One run of the till, from what its disk holds."""

    def __init__(self, folder: Path, port: int, point: Points, cancel_after: int = 0) -> None:
        self._file = folder / "till.json"
        self._goods = folder / "goods.txt"
        self._port = port
        self._point = point
        self._cancel_after = cancel_after
        self.disk: Json = {"payments": {}}
        if self._file.exists():
            self.disk = json.loads(self._file.read_text())

    def run(self) -> None:
        """Pay every order that is not done yet."""
        for order, kopecks in ORDERS:
            for nth in range(1, TRIES + 1):
                payment = self._pay(f"{order}.{nth}", order, kopecks)
                if payment["outcome"] not in ("unpaid", "not_presented"):
                    break

    def _pay(self, till_id: str, order: str, kopecks: int) -> Json:
        payment: Json = self.disk["payments"].setdefault(till_id, {"stage": "new", "outcome": None, "after": 0})
        if payment["stage"] == "new":
            self._store(payment, stage="meant")
        if payment["stage"] == "meant":
            body = {"order": order, "total_kopecks": kopecks}
            status, answer = self._until_answered("PUT", till_id, "", body)
            if status >= 400:
                self._store(payment, stage="done", outcome="refused", why=answer["code"])
                return payment
            self._store(payment, stage="begun", after=answer["last_seq"])
            if answer["outcome"] is not None:
                self._decide(payment, order, answer)
        polls = 0
        while payment["stage"] == "begun":
            _, page = self._until_answered("GET", till_id, f"/events?after={payment['after']}&wait_s=1")
            if any(event["type"] == "outcome_reached" for event in page["events"]):
                _, answer = self._until_answered("GET", till_id)
                self._decide(payment, order, answer)
            else:
                self._store(payment, after=page["next_after"])
                polls += 1
                if polls == self._cancel_after:
                    self._until_answered("POST", till_id, "/cancel", {})
        if payment["stage"] == "sold":
            self._point("before the goods")
            with self._goods.open("a") as goods:
                goods.write(f"{order}\n")
            self._point("after the goods")
            self._store(payment, stage="ended")
        if payment["stage"] == "ended":
            self._until_answered("POST", till_id, "/taken", {})
            self._store(payment, stage="done")
        return payment

    def _decide(self, payment: Json, order: str, answer: Json) -> None:
        """Store the outcome; the goods follow from what is stored."""
        sold = answer["outcome"] == "paid" and answer["case"] is None
        self._store(payment, stage="sold" if sold else "ended", outcome=answer["outcome"], case=answer["case"])

    def _store(self, payment: Json, **values: object) -> None:
        self._point("before the till writes")
        payment.update(values)
        fresh = self._file.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(self.disk, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
        self._point("after the till writes")

    def _until_answered(self, method: str, till_id: str, what: str = "", body: Json | None = None) -> tuple[int, Json]:
        while True:
            try:
                status, answer = self._ask(method, f"/v1/payments/{till_id}{what}", body)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(RETRY_S)
                continue
            if status < 400 or not answer.get("retry"):
                if status >= 400 and method != "PUT":
                    raise SystemExit(f"{method} {till_id}{what}: {status} {answer}")
                return status, answer
            time.sleep(RETRY_S)

    def _ask(self, method: str, path: str, body: Json | None) -> tuple[int, Json]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_S)
        headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        self._point(f"before {method}")
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            found: Json = json.loads(answer.read())
        finally:
            connection.close()
        self._point(f"after {method}")
        return answer.status, found


def main() -> None:
    """As the module's docstring describes."""
    point = Points(int(sys.argv[1]))
    cancel_after = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    try:
        Till(Path(sys.argv[2]), int(sys.argv[3]), point, cancel_after).run()
    finally:
        os.write(2, f"points passed: {point.passed}\n".encode())


if __name__ == "__main__":
    main()
