package io.github.scopaymaster.till;

import java.math.BigDecimal;

/** Exact conversions between kopecks and roubles. */
public final class Kopecks {
    private Kopecks() {
    }

    /**
     * An amount in roubles as kopecks.
     *
     * @param roubles such as {@code 10}, {@code 10.5} or {@code 10.50}; digits after the second must be zeros
     * @return the same amount in kopecks
     * @throws ArithmeticException if it has a fraction of a kopeck, or does not fit
     */
    public static long fromRoubles(BigDecimal roubles) {
        try {
            return roubles.movePointRight(2).longValueExact();
        } catch (ArithmeticException e) {
            throw new ArithmeticException(
                    "an amount must be whole kopecks and fit in a long, found " + roubles + " roubles");
        }
    }

    /**
     * An amount in kopecks as roubles.
     *
     * @param kopecks any amount
     * @return the same amount in roubles, scale 2
     */
    public static BigDecimal toRoubles(long kopecks) {
        return BigDecimal.valueOf(kopecks, 2);
    }
}
