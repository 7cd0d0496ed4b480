package ru.crystals.pos.spi.ui;

import java.math.BigDecimal;
import java.util.Objects;
import ru.crystals.pos.api.ui.listener.CancelListener;

public class QrFormParameters {
    private final String qrPayload;
    private final String message;
    private final BigDecimal sum;
    private final CancelListener canceledFormListener;
    private final String cancelButtonText;

    public QrFormParameters(
            String qrPayload,
            String message,
            BigDecimal sum,
            CancelListener canceledFormListener,
            String cancelButtonText) {
        this.qrPayload = Objects.requireNonNull(qrPayload);
        this.message = message;
        this.sum = sum;
        this.canceledFormListener = canceledFormListener;
        this.cancelButtonText = cancelButtonText;
    }

    public String getQrPayload() {
        return qrPayload;
    }

    public String getMessage() {
        return message;
    }

    public BigDecimal getSum() {
        return sum;
    }

    public CancelListener getCanceledFormListener() {
        return canceledFormListener;
    }

    public String getCancelButtonMessage() {
        return cancelButtonText;
    }
}
