package ru.crystals.pos.spi.equipment;

import java.math.BigDecimal;

public class CustomerDisplayMessage {
    private final String text;

    public CustomerDisplayMessage(String message, String qrPayload, BigDecimal sum) {
        this.text = message + ", qrPayload='" + qrPayload + "', sum=" + sum;
    }

    @Override
    public String toString() {
        return text;
    }
}
