package ru.crystals.pos.spi;

public class IncorrectStateException extends RuntimeException {
    private static final long serialVersionUID = 1L;
}
