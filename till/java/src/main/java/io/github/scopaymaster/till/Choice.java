package io.github.scopaymaster.till;

/** A button of the dialog «Оплата не завершена, нет связи с процессингом». */
public enum Choice {
    /** «Повторить»: keep asking the acquirer. */
    RETRY("retry"),
    /** «Отменить»: cancel the payment. */
    CANCEL("cancel");

    private final String word;

    Choice(String word) {
        this.word = word;
    }

    /**
     * The word of the service for this button.
     *
     * @return {@code "retry"} or {@code "cancel"}
     */
    public String getWord() {
        return word;
    }
}
