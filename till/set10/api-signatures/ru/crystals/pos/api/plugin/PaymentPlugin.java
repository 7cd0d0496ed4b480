package ru.crystals.pos.api.plugin;

import ru.crystals.pos.spi.plugin.FiscalizationListener;
import ru.crystals.pos.spi.plugin.payment.CancelRequest;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.plugin.payment.RefundRequest;

public interface PaymentPlugin extends FiscalizationListener {
    boolean isAvailable();

    void doPayment(PaymentRequest paymentRequest);

    void doPaymentCancel(CancelRequest cancelRequest);

    void doRefund(RefundRequest refundRequest);
}
