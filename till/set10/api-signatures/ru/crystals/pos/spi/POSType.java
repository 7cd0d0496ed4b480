package ru.crystals.pos.spi;

public enum POSType { POS, TOUCH, SCO, SERVER, UNKNOWN }
