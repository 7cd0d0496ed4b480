package ru.crystals.pos.spi;

public interface ResBundle extends Injectable {
    String getString(String key);
}
