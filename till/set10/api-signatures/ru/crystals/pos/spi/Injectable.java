package ru.crystals.pos.spi;

public interface Injectable {}
