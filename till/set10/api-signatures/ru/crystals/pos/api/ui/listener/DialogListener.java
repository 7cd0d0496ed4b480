package ru.crystals.pos.api.ui.listener;

public interface DialogListener extends CancelListener {
    void eventButton1pressed();

    void eventButton2pressed();
}
