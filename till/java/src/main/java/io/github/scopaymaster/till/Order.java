package io.github.scopaymaster.till;

import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a payment is for: an order (the receipt), and the leg of it that this payment takes. Immutable. */
public final class Order {
    private final String number;
    private final long totalKopecks;
    private final Long legKopecks;
    private final long tenderedElsewhereKopecks;
    private final long tenderedBySbpKopecks;

    private Order(String number, long totalKopecks, Long legKopecks, long elsewhereKopecks, long sbpKopecks) {
        this.number = number;
        this.totalKopecks = totalKopecks;
        this.legKopecks = legKopecks;
        this.tenderedElsewhereKopecks = elsewhereKopecks;
        this.tenderedBySbpKopecks = sbpKopecks;
    }

    /**
     * An order whose whole total is to be paid now.
     *
     * @param number the order's number: unique on the lane, not only in the shift
     * @param totalKopecks the order's total, more than 0
     * @return the order
     * @throws IllegalArgumentException if the number is empty or the total is not positive
     */
    public static Order of(String number, long totalKopecks) {
        if (number.isEmpty()) {
            throw new IllegalArgumentException("an order needs a number");
        }
        positive("totalKopecks", totalKopecks);
        return new Order(number, totalKopecks, null, 0, 0);
    }

    /**
     * An order whose whole total is to be paid now.
     *
     * @param number the order's number: unique on the lane, not only in the shift
     * @param totalRoubles the order's total, more than 0, without fractions of a kopeck
     * @return the order
     * @throws IllegalArgumentException if the number is empty or the total is not positive
     * @throws ArithmeticException if the total has a fraction of a kopeck
     */
    public static Order of(String number, BigDecimal totalRoubles) {
        return of(number, Kopecks.fromRoubles(totalRoubles));
    }

    /**
     * The same order, of which this payment takes only a part. Without it the payment takes all that is not tendered.
     *
     * @param kopecks the amount of this payment, more than 0
     * @return a new order
     */
    public Order leg(long kopecks) {
        positive("legKopecks", kopecks);
        return new Order(number, totalKopecks, kopecks, tenderedElsewhereKopecks, tenderedBySbpKopecks);
    }

    /**
     * The same order, of which a part was paid by other means: cash, card.
     *
     * @param kopecks how much, 0 or more
     * @return a new order
     */
    public Order tenderedElsewhere(long kopecks) {
        notNegative("tenderedElsewhereKopecks", kopecks);
        return new Order(number, totalKopecks, legKopecks, kopecks, tenderedBySbpKopecks);
    }

    /**
     * The same order, of which a part was paid by earlier payments of this lane's service.
     *
     * @param kopecks how much, 0 or more
     * @return a new order
     */
    public Order tenderedBySbp(long kopecks) {
        notNegative("tenderedBySbpKopecks", kopecks);
        return new Order(number, totalKopecks, legKopecks, tenderedElsewhereKopecks, kopecks);
    }

    /**
     * The order's number.
     *
     * @return not empty
     */
    public String getNumber() {
        return number;
    }

    /**
     * The order's total.
     *
     * @return kopecks, more than 0
     */
    public long getTotalKopecks() {
        return totalKopecks;
    }

    /**
     * The amount of this payment.
     *
     * @return kopecks: what {@link #leg} said, else all that is not tendered
     */
    public long getLegKopecks() {
        return legKopecks != null ? legKopecks : totalKopecks - tenderedElsewhereKopecks - tenderedBySbpKopecks;
    }

    Map<String, Object> toJson() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("order", number);
        json.put("total_kopecks", totalKopecks);
        if (legKopecks != null) {
            json.put("leg_kopecks", legKopecks);
        }
        json.put("tendered_elsewhere_kopecks", tenderedElsewhereKopecks);
        json.put("tendered_by_sbp_kopecks", tenderedBySbpKopecks);
        return json;
    }

    private static void positive(String name, long kopecks) {
        if (kopecks <= 0) {
            throw new IllegalArgumentException(name + " must be more than 0, found " + kopecks);
        }
    }

    private static void notNegative(String name, long kopecks) {
        if (kopecks < 0) {
            throw new IllegalArgumentException(name + " must not be negative, found " + kopecks);
        }
    }

    @Override
    public String toString() {
        return "order " + number + ", " + Kopecks.toRoubles(getLegKopecks()) + " of " + Kopecks.toRoubles(totalKopecks);
    }
}
