package ru.crystals.pos.spi;

public interface PropertiesReader {
    String get(String key, String defaultValue);
}
