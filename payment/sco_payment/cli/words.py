"""What `sco-pay` shows to the operator in a terminal, by `lane.language`. What the customer reads is in
`customer.texts`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TerminalWords:
    """The words around the lane's screen in a terminal.

    Attributes:
        retry_key, cancel_key: letters for the dialog's buttons, as they are shown; any of them acts.
    """

    retry_key: str
    cancel_key: str
    interrupt: str
    unknown_key: str
    link_above: str
    no_blocks: str
    paper: str
    lingering: str


TERMINAL_WORDS = {
    "ru": TerminalWords(
        retry_key="r/п",
        cancel_key="c/о",
        interrupt="Отменить оплату",
        unknown_key="Клавиша {key} здесь не действует. Клавиши: {keys}",
        link_above="QR-коду нужно окно {columns}x{rows}; ссылка — строкой выше",
        no_blocks="QR-коду нужен терминал в UTF-8; ссылка — строкой выше",
        paper="На ленте принтера:",
        lingering="Экран кассы показывает итог ещё {seconds:g} с; Ctrl-C — завершить сейчас",
    ),
    "en": TerminalWords(
        retry_key="r",
        cancel_key="c",
        interrupt="Cancel the payment",
        unknown_key="Key {key} does nothing here. Keys: {keys}",
        link_above="The QR code needs a window of {columns}x{rows}; the link is on the line above",
        no_blocks="The QR code needs a terminal in UTF-8; the link is on the line above",
        paper="On the printer's paper:",
        lingering="The lane's screen shows the outcome for {seconds:g} s more; Ctrl-C ends it now",
    ),
}
