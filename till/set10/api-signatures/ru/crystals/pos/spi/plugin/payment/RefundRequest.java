package ru.crystals.pos.spi.plugin.payment;

public interface RefundRequest {
    PaymentCallback getPaymentCallback();
}
