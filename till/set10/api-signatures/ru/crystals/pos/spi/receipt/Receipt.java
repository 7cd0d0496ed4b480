package ru.crystals.pos.spi.receipt;

import java.math.BigDecimal;
import java.util.Collection;
import java.util.Collections;

public interface Receipt {
    BigDecimal getSumWithDiscount();

    BigDecimal getSurchargeSum();

    int getShiftNo();

    int getNumber();

    default Collection<ProcessedPayment> getPayments() {
        return Collections.emptyList();
    }
}
