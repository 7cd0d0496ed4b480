package sco.set10;

import io.github.scopaymaster.till.LaneClient;
import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneProblem;
import io.github.scopaymaster.till.Payment;
import java.io.IOException;
import org.slf4j.Logger;

/** Tells the lane what became of payments that the till has ended, or can no longer end. */
final class Settlement {
    /** A request that the network still holds may begin a payment that the lane does not know yet. */
    private static final long FORGET_UNKNOWN_MS = 3_600_000;

    /** What is left to do for a payment. */
    enum State {
        SETTLED,
        /** It is being cancelled, or its receipt decides: ask again soon. */
        UNDER_WAY,
        /** The lane does not know it; a delayed request may still bring it there. */
        NOT_KNOWN
    }

    private Settlement() {}

    /**
     * Settle one payment, in one try.
     *
     * @return what is left to do
     * @throws IOException where the lane gave no answer, or the ledger cannot be written
     */
    static State settle(Ledger ledger, Ledger.Entry entry, LaneClient lane, Logger log)
            throws IOException, InterruptedException {
        try {
            switch (entry.due) {
                case TAKEN:
                    Payment taken = lane.taken(entry.id);
                    if (!taken.mayReleaseGoods()) {
                        log.error("payment {} is sold, and the lane says {} with case {}: an attendant must decide",
                                entry.id, taken.getOutcome().getWord(), taken.getCase());
                    }
                    break;
                case ABANDONED:
                    if (!abandon(ledger, entry, lane, log)) {
                        return State.UNDER_WAY;
                    }
                    break;
                default:
                    return State.UNDER_WAY;
            }
        } catch (LaneProblem problem) {
            if (problem.isRetry() || problem.getStatus() >= 500 || problem.getStatus() == 401 || problem.getStatus() == 403) {
                throw problem;
            }
            boolean mayCome = "no_such_payment".equals(problem.getCode())
                    && System.currentTimeMillis() - entry.sinceMs < FORGET_UNKNOWN_MS;
            if (mayCome) {
                return State.NOT_KNOWN;
            }
            log.error("payment {}: the lane refuses what the till owes it ({}): {}", entry.id, entry.due, problem.getMessage());
        }
        ledger.remove(entry.id);
        return State.SETTLED;
    }

    private static boolean abandon(Ledger ledger, Ledger.Entry entry, LaneClient lane, Logger log)
            throws LaneException, InterruptedException {
        if (ledger.get(entry.id) != entry) {
            return false; // the customer came back to it meanwhile
        }
        Payment payment = lane.cancel(entry.id); // also one that waits to begin; one that has ended stays as it is
        if (payment.isRunning()) {
            return false;
        }
        if (payment.mayReleaseGoods()) { // taken before, or not: it has no receipt now
            payment = lane.notAccepted(entry.id, "the till sold nothing by this payment (order " + entry.order + ")");
            log.error("payment {} is paid without goods: case {}", entry.id, payment.getCase());
        }
        return true;
    }
}
