package ru.crystals.pos.spi.equipment;

import ru.crystals.pos.spi.Injectable;

public interface CustomerDisplay extends Injectable {
    default boolean canShowQr() {
        return false;
    }

    default void display(CustomerDisplayMessage message) {}

    default void clear() {}
}
