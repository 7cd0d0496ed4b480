package io.github.scopaymaster.till;

import java.math.BigDecimal;

/** A payment as the service had it when it answered. Immutable. */
public final class Payment {
    private final JsonObject json;
    private final String attempt;
    private final String order;
    private final long amountKopecks;
    private final boolean running;
    private final Outcome outcome;

    Payment(JsonObject json) {
        this.json = json;
        attempt = json.text("attempt");
        order = json.text("order");
        amountKopecks = json.integer("amount_kopecks");
        running = "running".equals(json.text("state"));
        String word = json.textOrNull("outcome");
        outcome = word == null ? null : Outcome.of(word);
        for (String name : new String[] {"presented", "taken", "final"}) {
            json.flag(name);
        }
        for (String name : new String[] {"total_kopecks", "mode", "begun_at_ms", "expires_at_ms", "last_seq"}) {
            json.integer(name);
        }
        for (String name : new String[] {"phase", "reason", "detail"}) {
            json.text(name);
        }
        json.integerOrNull("case");
        json.textOrNull("id");
        json.textOrNull("payment_id");
        if (running != (outcome == null)) {
            throw new JsonException("'state' and 'outcome' do not agree");
        }
    }

    /**
     * Whether the goods may be given to the customer: paid, and there is no case about it.
     *
     * @return true when the till may complete the sale
     */
    public boolean mayReleaseGoods() {
        return outcome == Outcome.PAID && getCase() == null;
    }

    /**
     * The id that the till gave this payment.
     *
     * @return the id, or null for a payment that was not begun through the service
     */
    public String getId() {
        return json.textOrNull("id");
    }

    /**
     * The lane's key of this payment, which is in its journal and logs.
     *
     * @return not empty
     */
    public String getAttempt() {
        return attempt;
    }

    /**
     * The order's number.
     *
     * @return as it was given
     */
    public String getOrder() {
        return order;
    }

    /**
     * The amount of this payment.
     *
     * @return kopecks
     */
    public long getAmountKopecks() {
        return amountKopecks;
    }

    /**
     * The amount of this payment.
     *
     * @return roubles, scale 2
     */
    public BigDecimal getAmountRoubles() {
        return Kopecks.toRoubles(amountKopecks);
    }

    /**
     * The total of the order, of which this payment may be a part.
     *
     * @return kopecks
     */
    public long getTotalKopecks() {
        return json.integer("total_kopecks");
    }

    /**
     * The display mode: 0 printed, 1 on the screen, 2 plate.
     *
     * @return 0, 1 or 2
     */
    public int getMode() {
        return (int) json.integer("mode");
    }

    /**
     * Whether the payment still runs for the customer.
     *
     * @return false when it has an outcome
     */
    public boolean isRunning() {
        return running;
    }

    /**
     * What the lane is doing for it.
     *
     * @return a word such as {@code creating}, {@code waiting}, {@code asking}; others may be added
     */
    public String getPhase() {
        return json.text("phase");
    }

    /**
     * Whether the customer is asked to choose between Повторить and Отменить now: {@link PaymentSession#choose}.
     *
     * @return true in the phase {@code asking}
     */
    public boolean isAsking() {
        return running && "asking".equals(getPhase());
    }

    /**
     * How it ended for the till.
     *
     * @return the outcome, or null while it has none
     */
    public Outcome getOutcome() {
        return outcome;
    }

    /**
     * Why it ended so.
     *
     * @return a word such as {@code customer} or {@code expired}; {@code none} if there is nothing to say
     */
    public String getReason() {
        return json.text("reason");
    }

    /**
     * What prevented the code from being shown, for people.
     *
     * @return a sentence; empty if nothing did
     */
    public String getDetail() {
        return json.text("detail");
    }

    /**
     * Whether the customer could see the code at any time.
     *
     * @return true if so
     */
    public boolean isPresented() {
        return json.flag("presented");
    }

    /**
     * The acquirer's id of the payment.
     *
     * @return the id, or null while it is not known
     */
    public String getPaymentId() {
        return json.textOrNull("payment_id");
    }

    /**
     * The number of the case about it. An operator decides it, or has decided it: the number stays when it is closed.
     *
     * @return the number, or null if there is none
     */
    public Long getCase() {
        return json.integerOrNull("case");
    }

    /**
     * Whether the till has said that it took the outcome: {@link LaneClient#taken}.
     *
     * @return true if so
     */
    public boolean isTaken() {
        return json.flag("taken");
    }

    /**
     * Whether nothing about this payment can change any more, at the acquirer either.
     *
     * @return true if so
     */
    public boolean isFinal() {
        return json.flag("final");
    }

    /**
     * When it was begun.
     *
     * @return lane time, ms since the epoch
     */
    public long getBegunAtMs() {
        return json.integer("begun_at_ms");
    }

    /**
     * When the customer can no longer pay.
     *
     * @return lane time, ms since the epoch
     */
    public long getExpiresAtMs() {
        return json.integer("expires_at_ms");
    }

    /**
     * The journal's row of the last change, which is where events are read from.
     *
     * @return the row
     */
    public long getLastSeq() {
        return json.integer("last_seq");
    }

    @Override
    public String toString() {
        return "payment " + getId() + " (" + attempt + ", order " + order + "): "
                + (outcome == null ? getPhase() : outcome.getWord()) + (getCase() == null ? "" : ", case " + getCase());
    }
}
