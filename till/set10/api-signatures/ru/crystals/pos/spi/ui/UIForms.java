package ru.crystals.pos.spi.ui;

import ru.crystals.pos.api.ui.listener.CancelListener;
import ru.crystals.pos.api.ui.listener.ConfirmListener;
import ru.crystals.pos.api.ui.listener.DialogListener;
import ru.crystals.pos.spi.IncorrectStateException;
import ru.crystals.pos.spi.Injectable;

public interface UIForms extends Injectable {
    void showSpinnerForm(String message) throws IncorrectStateException;

    void showSpinnerFormWithCancel(String message, CancelListener canceledFormListener) throws IncorrectStateException;

    void showErrorForm(String errorText, ConfirmListener confirmListener) throws IncorrectStateException;

    void showDialogForm(DialogFormParameters dialogFormParameters, DialogListener dialogListener)
            throws IncorrectStateException;

    default void showQrForm(QrFormParameters parameters) {}
}
