package ru.crystals.pos.spi.plugin;

import ru.crystals.pos.spi.feedback.Feedback;
import ru.crystals.pos.spi.receipt.Receipt;

public interface FiscalizationListener {
    default Feedback eventReceiptFiscalized(Receipt receipt, boolean isCancelReceipt) {
        return null;
    }

    default void onRepeatSend(Feedback goodsFeedback) throws Exception {}
}
