package io.github.scopaymaster.till;

/** How a payment ended for the till. */
public enum Outcome {
    /** The acquirer has the full amount. Goods may be released if no case is open: {@link Payment#mayReleaseGoods()}. */
    PAID("paid"),
    /** The acquirer has closed the payment unpaid, or it was never created there. */
    UNPAID("unpaid"),
    /** Nobody can say yet whether the customer paid. Neither release the goods nor say "not paid": call an operator. */
    UNKNOWN("unknown"),
    /** The customer never saw a code and nothing was paid: the order can be paid in another way at once. */
    NOT_PRESENTED("not_presented");

    private final String word;

    Outcome(String word) {
        this.word = word;
    }

    /**
     * The word of the service for this outcome.
     *
     * @return such as {@code "paid"}
     */
    public String getWord() {
        return word;
    }

    /** A word that this version does not know is the only safe thing: unknown. */
    static Outcome of(String word) {
        for (Outcome outcome : values()) {
            if (outcome.word.equals(word)) {
                return outcome;
            }
        }
        return UNKNOWN;
    }
}
