package io.github.scopaymaster.till;

/**
 * No answer came that can be used: no connection, a time-out, a cut or senseless answer, or one that says that the request
 * may have been acted on although it failed ({@code journal_unavailable}, {@code internal}).
 *
 * <p>Asking again is always harmless: the same id is the same payment, and a repeated {@code cancel} or {@code taken}
 * changes nothing.
 */
public final class LaneUnreachable extends LaneException {
    private static final long serialVersionUID = 1L;

    /** @serial see {@link #mayHaveArrived} */
    private final boolean mayHaveArrived;

    LaneUnreachable(String message, boolean mayHaveArrived, Throwable cause) {
        super(message, cause);
        this.mayHaveArrived = mayHaveArrived;
    }

    /**
     * Whether the service may have received the request, and acted on it.
     *
     * @return false only where no connection came about, so that nothing was sent
     */
    public boolean mayHaveArrived() {
        return mayHaveArrived;
    }
}
