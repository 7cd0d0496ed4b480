package ru.crystals.pos.spi;

public interface IntegrationProperties extends Injectable {
    PropertiesReader getServiceProperties();
}
