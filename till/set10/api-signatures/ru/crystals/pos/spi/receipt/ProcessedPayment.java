package ru.crystals.pos.spi.receipt;

import java.math.BigDecimal;
import java.util.Map;

public interface ProcessedPayment {
    String getPluginId();

    boolean isAnnulling();

    BigDecimal getSum();

    Map<String, String> getData();
}
