package sco.set10;

import io.github.scopaymaster.till.LaneClient;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import ru.crystals.pos.spi.receipt.ProcessedPayment;
import ru.crystals.pos.spi.receipt.Receipt;

/** What a printed receipt says of our payments; the till keeps it as the payload of its feedback until it is delivered. */
final class PrintedReceipt {
    private static final String VERSION = "1";
    private static final String SOLD = "sold";
    private static final String ANNULLED = "annulled";

    final String order;
    final Set<String> ids;
    private final boolean annulled;

    private PrintedReceipt(String order, boolean annulled, Set<String> ids) {
        this.order = order;
        this.annulled = annulled;
        this.ids = ids;
    }

    /** Of a receipt that was printed, or voided: then of all that it had of ours. */
    static PrintedReceipt of(String order, Receipt receipt, boolean annulled) {
        if (!annulled) {
            return new PrintedReceipt(order, false, ReceiptMoney.storedIds(receipt));
        }
        Set<String> ids = new LinkedHashSet<>();
        for (ProcessedPayment stored : receipt.getPayments()) {
            if (PaymasterPlugin.ID.equals(stored.getPluginId()) && stored.getData().get(Fields.ID) != null) {
                ids.add(stored.getData().get(Fields.ID));
            }
        }
        return new PrintedReceipt(order, true, ids);
    }

    /** Null where it is no payload of this plugin. */
    static PrintedReceipt parse(String payload) {
        List<String> part = Arrays.asList(payload.split(" "));
        if (part.size() < 3 || !VERSION.equals(part.get(0))) {
            return null;
        }
        return new PrintedReceipt(
                part.get(1), ANNULLED.equals(part.get(2)), new LinkedHashSet<>(part.subList(3, part.size())));
    }

    String payload() {
        List<String> part = new ArrayList<>(Arrays.asList(VERSION, order, annulled ? ANNULLED : SOLD));
        part.addAll(ids);
        return String.join(" ", part);
    }

    /** Whether it had payments of ours that are sold no more. The lane may have been told long ago that they were. */
    boolean voidsOurs() {
        return annulled && !ids.isEmpty();
    }

    boolean concerns(Ledger.Entry entry) {
        return entry.order.equals(order) || ids.contains(entry.id);
    }

    /**
     * Tell the lane: what the receipt has of ours is sold; what it has not, is not sold any more.
     *
     * @param turn the last one of the plugin, or null
     * @throws IOException where something is left to do
     */
    void settle(Ledger ledger, LaneClient lane, Turn turn, Logger log) throws IOException, InterruptedException {
        if (annulled) {
            for (String id : ids) {
                ledger.put(id, order, Ledger.Due.ABANDONED);
            }
        }
        boolean isTurnOfIt = turn != null && !turn.isOver() && turn.isOf(order);
        boolean pending = false;
        for (Ledger.Entry entry : ledger.entries()) {
            if (!concerns(entry)) {
                continue;
            }
            if (entry.due == Ledger.Due.OPEN && isTurnOfIt) {
                pending = true; // the turn goes on with it
                continue;
            }
            boolean isSold = ids.contains(entry.id) && !annulled;
            Ledger.Entry marked = ledger.mark(entry.id, isSold ? Ledger.Due.TAKEN : Ledger.Due.ABANDONED);
            pending |= marked != null && Settlement.settle(ledger, marked, lane, log) == Settlement.State.UNDER_WAY;
        }
        if (pending) {
            throw new IOException("a payment of order " + order + " is not settled yet");
        }
    }
}
