package sco.set10;

import io.github.scopaymaster.till.Kopecks;
import io.github.scopaymaster.till.Order;
import io.github.scopaymaster.till.Outcome;
import java.math.BigDecimal;
import java.util.LinkedHashSet;
import java.util.Set;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.receipt.ProcessedPayment;
import ru.crystals.pos.spi.receipt.Receipt;

/** What a receipt costs, what is due of it, and what of ours has been sold by it; in kopecks. */
final class ReceiptMoney {
    final long total;
    final long due;
    /** What to take now. */
    final long leg;
    private final long sbp;

    /** Reads the receipt, so call it in the till's thread. */
    ReceiptMoney(PaymentRequest request) {
        Receipt receipt = request.getReceipt();
        total = Kopecks.fromRoubles(receipt.getSumWithDiscount());
        due = Kopecks.fromRoubles(receipt.getSurchargeSum());
        leg = leg(due, request.getLimitSum());
        long ours = 0;
        for (ProcessedPayment stored : receipt.getPayments()) {
            if (isSold(stored)) {
                ours += Kopecks.fromRoubles(stored.getSum());
            }
        }
        sbp = ours;
    }

    /** All that is due, or the till's limit where there is one (null, 0 and less mean none). */
    private static long leg(long due, BigDecimal limit) {
        return limit == null || limit.signum() <= 0 ? due : Math.min(due, Kopecks.fromRoubles(limit));
    }

    boolean isMixed() {
        return leg != total;
    }

    Order order(String number) {
        return Order.of(number, total).leg(leg).tenderedElsewhere(total - due - sbp).tenderedBySbp(sbp);
    }

    /** Whether the receipt has money of ours by it: a till may also store what a turn without a payment has left. */
    private static boolean isSold(ProcessedPayment stored) {
        return PaymasterPlugin.ID.equals(stored.getPluginId()) && !stored.isAnnulling()
                && Outcome.PAID.getWord().equals(stored.getData().get(Fields.OUTCOME))
                && stored.getData().get(Fields.CASE) == null;
    }

    /** Payments of ours that are sold by the receipt. */
    static Set<String> storedIds(Receipt receipt) {
        Set<String> ids = new LinkedHashSet<>();
        for (ProcessedPayment stored : receipt.getPayments()) {
            if (isSold(stored) && stored.getData().get(Fields.ID) != null) {
                ids.add(stored.getData().get(Fields.ID));
            }
        }
        return ids;
    }
}
