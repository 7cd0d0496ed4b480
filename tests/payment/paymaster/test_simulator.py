"""The simulator as its users meet it: the phone on HTTP, notifications, scripts."""

from __future__ import annotations

import http.server
import threading
from datetime import UTC, datetime, timedelta

import pytest
import segno
import urllib3

from sco_payment.link import Verdict, judge
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import NewPayment, Payment, parse_notification
from sco_sim.paymaster import BadScript, NothingToPay, PayMasterSimulator, Script


def create(bank: PayMasterSimulator, **changes: object) -> Payment:
    client = PayMaster(bank.base_url, Token(bank.token), bank.merchant_id)
    expires = datetime.fromtimestamp(bank.bank.clock(), UTC) + timedelta(minutes=5)
    return client.create_payment(NewPayment("42", "x", 25300, expires, **changes), "key")  # type: ignore[arg-type]


def test_the_simulators_links_are_verified() -> None:
    with PayMasterSimulator() as bank:
        payment = create(bank)
        assert payment.link is not None
        assert judge(payment.link, kopecks=25300).verdict is Verdict.VERIFIED
        assert judge(bank.bank.add_sticker().payload).verdict is Verdict.VERIFIED


def test_the_phone_on_http_reads_a_picture_and_pays(tmp_path: object) -> None:
    import io

    with PayMasterSimulator() as bank:
        payment = create(bank)
        png = io.BytesIO()
        segno.make(payment.link).save(png, kind="png", scale=4)
        http_ = urllib3.PoolManager()
        page = http_.request("GET", bank.phone_url)
        assert "Оплатить" in page.data.decode()
        seen = http_.request("POST", bank.phone_url + "phone/scan", body=png.getvalue()).json()
        assert (seen["shop"], seen["sum"], seen["link"]) == ("Магазин у дома", "253,00\u00a0₽", payment.link)
        bank.go_offline()  # the lane's network only
        assert (
            http_.request("POST", bank.phone_url + "phone/pay", json={"link": payment.link}).json()["status"]
            == "Settled"
        )
        again = http_.request("POST", bank.phone_url + "phone/decline", json={"link": payment.link})
        assert (again.status, again.json()) == (422, {"error": "the payment is Settled already", "trouble": "over"})
        assert http_.request("POST", bank.phone_url + "phone/scan", body=b"no picture").status == 422


def test_a_phone_refuses_a_link_without_a_payment() -> None:
    with PayMasterSimulator() as bank:
        sticker = bank.bank.add_sticker()
        for link in (sticker.payload, "https://evil.example/", "http://x"):
            with pytest.raises(NothingToPay):
                bank.phone.pay(link)


def test_an_invoice_expires() -> None:
    now = [1_700_000_000.0]
    with PayMasterSimulator(clock=lambda: now[0]) as bank:
        payment = create(bank)
        now[0] += 299
        assert bank.bank.get(payment.id).status == "Confirmation"
        now[0] += 1
        assert (bank.bank.get(payment.id).status, bank.bank.get(payment.id).result_code) == (
            "Rejected",
            "PaymentExpired",
        )


def test_notifications_reach_the_merchant_with_their_byte_order_mark() -> None:
    bodies: list[bytes] = []
    came = threading.Event()

    class Merchant(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            came.set()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Merchant)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with PayMasterSimulator() as bank:
        payment = create(bank, callback_url=f"http://127.0.0.1:{server.server_port}/")
        assert payment.link is not None
        bank.phone.pay(payment.link)
        assert came.wait(20)
    server.shutdown()
    assert bodies[0].startswith(b"\xef\xbb\xbf")
    assert (parse_notification(bodies[0]).id, parse_notification(bodies[0]).status) == (payment.id, "Settled")


@pytest.mark.parametrize(
    "text", ["dances", "pays after=soon", "429 on=lunch", "pays +", "leaves colour=red", "slow wait"]
)
def test_scripts_that_are_refused(text: str) -> None:
    with pytest.raises(BadScript):
        Script.parse(text)
