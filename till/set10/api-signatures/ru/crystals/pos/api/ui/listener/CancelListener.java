package ru.crystals.pos.api.ui.listener;

public interface CancelListener {
    void eventCanceled();
}
