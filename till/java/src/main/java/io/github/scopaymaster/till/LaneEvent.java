package io.github.scopaymaster.till;

/** Something that the lane wrote to its journal. Immutable. */
public final class LaneEvent {
    private final JsonObject json;
    private final long seq;
    private final String type;

    LaneEvent(JsonObject json) {
        this.json = json;
        seq = json.integer("seq");
        type = json.text("type");
        json.integer("at_ms");
        json.textOrNull("payment");
        json.textOrNull("attempt");
    }

    /**
     * The journal's row. One row may give several events.
     *
     * @return more than 0
     */
    public long getSeq() {
        return seq;
    }

    /**
     * When it happened.
     *
     * @return lane time, ms since the epoch
     */
    public long getAtMs() {
        return json.integer("at_ms");
    }

    /**
     * What happened.
     *
     * @return such as {@code state_changed}, {@code link_accepted}, {@code outcome_reached}; others may be added: ignore
     *     those you do not know
     */
    public String getType() {
        return type;
    }

    /**
     * The payment's id.
     *
     * @return the till's id, or null for a payment that was not begun through the service
     */
    public String getPayment() {
        return json.textOrNull("payment");
    }

    /**
     * The lane's key of the payment.
     *
     * @return the key, or null for an event of the lane itself
     */
    public String getAttempt() {
        return json.textOrNull("attempt");
    }

    /**
     * A field of this type of event that is text.
     *
     * @param name such as {@code link} or {@code phase}
     * @return the text, or null if there is no such field or it is null
     */
    public String getText(String name) {
        Object value = json.get(name);
        return value instanceof String ? (String) value : null;
    }

    /**
     * A field of this type of event that is a whole number.
     *
     * @param name such as {@code case} or {@code amount_kopecks}
     * @return the number, or null if there is no such field or it is null
     */
    public Long getLong(String name) {
        Object value = json.get(name);
        return value instanceof Long ? (Long) value : null;
    }

    @Override
    public String toString() {
        return json.toString();
    }
}
