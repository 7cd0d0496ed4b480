package ru.crystals.pos.spi.plugin.payment;

import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.receipt.Receipt;

public interface CancelRequest {
    Payment getPayment();

    Receipt getReceipt();

    PaymentCallback getPaymentCallback();
}
