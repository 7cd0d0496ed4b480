package ru.crystals.pos.spi.plugin.payment;

import ru.crystals.pos.api.plugin.payment.Payment;

public interface PaymentCallback {
    void paymentCompleted(Payment payment) throws InvalidPaymentException;

    default void paymentNotCompleted() {
        paymentNotCompleted(new Payment());
    }

    void paymentNotCompleted(Payment payment);
}
