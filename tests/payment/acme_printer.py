"""A third party's driver, of a printer that takes no ESC/POS: it uses public names only, and has nothing of ours."""

from __future__ import annotations

import threading
import time
from typing import NoReturn, Self

from sco_drivers import DeviceClosed, DeviceUrl
from sco_drivers.printer import (
    Barcode,
    Columns,
    Document,
    DocumentRefused,
    DuplicateTicket,
    Item,
    Line,
    PrinterHealth,
    PrinterIdentity,
    PrinterStatus,
    PrintOutcome,
    PrintResult,
    QrCode,
    Raw,
    SensorState,
    Text,
    Ticket,
    TicketDoesNotFit,
)

SMALLEST_MM = 20.0


class AcmePrinter:
    """Its language is lines of words; a code is a line too."""

    presenter = None

    def __init__(self, url: DeviceUrl, paper: list[str]) -> None:
        self.url = url.text
        self._paper = paper
        self._printed: set[str] = set()
        self._closed = False
        self._lock = threading.Lock()

    def status(self) -> PrinterStatus:
        self._check_open()
        no = SensorState.NO
        return PrinterStatus(SensorState.YES, no, no, no, no, no, no, no)

    def health(self) -> PrinterHealth:
        status = self.status()
        identity = PrinterIdentity(maker="ACME", model="Lines")
        return PrinterHealth(status.ready, status, identity, None, 1.0, SensorState.YES, SensorState.YES, ())

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        return self.print_document(ticket.document)

    def print_document(self, document: Document) -> PrintResult:
        self._check_open()
        lines = [self._words(item) for item in document.items]
        if not lines:
            raise DocumentRefused("the document is empty", url=self.url)
        with self._lock:
            if document.document_id in self._printed:
                raise DuplicateTicket(f"{document.document_id} was printed", url=self.url)
            if document.valid_until is not None and document.valid_until < time.time():
                return PrintResult(PrintOutcome.NOT_PRINTED, "it had expired")
            self._printed.add(document.document_id)
            self._paper += lines
        return PrintResult(PrintOutcome.PRINTED, "the printer counted the lines")

    def _words(self, item: Item) -> str:
        match item:
            case Line() | Text():
                return item.text
            case Columns():
                return " ".join(column if isinstance(column, str) else column.text for column in item.columns)
            case QrCode() if item.side_mm < SMALLEST_MM:
                raise TicketDoesNotFit(f"a code needs {SMALLEST_MM:.0f} mm, not {item.side_mm:.0f}", url=self.url)
            case QrCode() | Barcode():
                return item.data
            case Raw():
                return self.escpos("")
            case _:
                return ""

    def escpos(
        self,
        document_id: str,
        *,
        valid_until: float | None = None,
        repeat: Line | None = None,
        codes_in_images: bool = True,
    ) -> NoReturn:
        raise DocumentRefused("the printer takes no ESC/POS", url=self.url)

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceClosed("the printer is closed", url=self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
