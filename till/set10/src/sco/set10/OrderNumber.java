package sco.set10;

/**
 * Numbers of orders and payments. Receipt numbers start again with each shift and shift numbers with each till, so an
 * order is named by shop, till, shift and receipt; its payments add the number of the leg. The same receipt has the
 * same numbers after a restart of the till.
 */
final class OrderNumber {
    private OrderNumber() {}

    /** The order's number, for example {@code 17-3-1204-58}. */
    static String of(String prefix, int shop, int till, int shift, int receipt) {
        return prefix + shop + "-" + till + "-" + shift + "-" + receipt;
    }

    /** The till's id of the order's payment number {@code leg}, from 1. */
    static String payment(String order, int leg) {
        return order + "-" + leg;
    }

    /** The number of the leg that {@code payment} is of {@code order}; 0 where it is none. */
    static int leg(String order, String payment) {
        if (payment == null || !payment.startsWith(order + "-")) {
            return 0;
        }
        try {
            return Integer.parseInt(payment.substring(order.length() + 1));
        } catch (NumberFormatException other) {
            return 0;
        }
    }
}
