package ru.crystals.pos.api.plugin.payment;

import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Map;

public class Payment {
    private final Map<String, String> data = new HashMap<>();
    private BigDecimal sum;

    public BigDecimal getSum() {
        return sum;
    }

    public void setSum(BigDecimal sum) {
        this.sum = sum;
    }

    public Map<String, String> getData() {
        return data;
    }

    public String getData(String key) {
        return data.get(key);
    }
}
