package ru.crystals.pos.spi.plugin.payment;

public class InvalidPaymentException extends Exception {
    private static final long serialVersionUID = 1L;
}
