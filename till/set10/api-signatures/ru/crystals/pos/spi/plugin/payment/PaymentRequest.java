package ru.crystals.pos.spi.plugin.payment;

import java.math.BigDecimal;
import ru.crystals.pos.spi.receipt.Receipt;

public interface PaymentRequest {
    Receipt getReceipt();

    default BigDecimal getLimitSum() {
        return BigDecimal.ZERO;
    }

    PaymentCallback getPaymentCallback();
}
