package ru.crystals.pos.api.ui.listener;

public interface ConfirmListener {
    void eventConfirmed();
}
