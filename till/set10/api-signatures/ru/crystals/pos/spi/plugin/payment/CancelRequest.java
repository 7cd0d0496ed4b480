package ru.crystals.pos.spi.plugin.payment;

import ru.crystals.pos.api.plugin.payment.Payment;

public interface CancelRequest {
    Payment getPayment();

    PaymentCallback getPaymentCallback();
}
