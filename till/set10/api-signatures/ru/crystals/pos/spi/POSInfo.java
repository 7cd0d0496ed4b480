package ru.crystals.pos.spi;

public interface POSInfo extends Injectable {
    int getShopNumber();

    int getPOSNumber();

    POSType getPOSType();
}
