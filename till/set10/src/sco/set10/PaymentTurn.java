package sco.set10;

import io.github.scopaymaster.till.Kopecks;
import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneProblem;
import io.github.scopaymaster.till.LaneStatus;
import io.github.scopaymaster.till.LaneUnreachable;
import io.github.scopaymaster.till.Order;
import io.github.scopaymaster.till.Outcome;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.receipt.ProcessedPayment;
import ru.crystals.pos.spi.receipt.Receipt;

/** One leg of a receipt: finds the payment that a stopped till has left, or begins one, and brings it to an end. */
final class PaymentTurn extends LaneTurn {
    private static final int STORE_S = 60;
    private static final long BUSY_MS = 20_000;
    private static final int SETTLE_TRIES = 5;

    private final PaymasterPlugin plugin;
    private final Receipt receipt;
    private final BigDecimal limit;
    private final long totalKopecks;
    private final long dueKopecks;
    private final long legKopecks;
    private final long sbpKopecks;
    private String number;
    private String id;
    private volatile Payment remains;

    /** Reads the receipt, so call it in the till's thread. */
    PaymentTurn(Host host, PaymasterPlugin plugin, PaymentRequest request) {
        super(host, request.getPaymentCallback());
        this.plugin = plugin;
        receipt = request.getReceipt();
        limit = request.getLimitSum();
        totalKopecks = Kopecks.fromRoubles(receipt.getSumWithDiscount());
        dueKopecks = Kopecks.fromRoubles(receipt.getSurchargeSum());
        legKopecks = leg(dueKopecks, limit);
        long ours = 0;
        for (ProcessedPayment stored : receipt.getPayments()) {
            if (isOurs(stored)) {
                ours += Kopecks.fromRoubles(stored.getSum());
            }
        }
        sbpKopecks = ours;
    }

    /** What to take: all that is due, or the till's limit where there is one (null, 0 and less mean none). */
    static long leg(long dueKopecks, BigDecimal limit) {
        return limit == null || limit.signum() <= 0 ? dueKopecks : Math.min(dueKopecks, Kopecks.fromRoubles(limit));
    }

    static boolean isOurs(ProcessedPayment stored) {
        return PaymasterPlugin.ID.equals(stored.getPluginId()) && !stored.isAnnulling();
    }

    static Set<String> storedIds(Receipt receipt) {
        Set<String> ids = new HashSet<>();
        for (ProcessedPayment stored : receipt.getPayments()) {
            if (isOurs(stored) && stored.getData().get(Fields.ID) != null) {
                ids.add(stored.getData().get(Fields.ID));
            }
        }
        return ids;
    }

    @Override
    boolean isStored(Payment payment) {
        return storedIds(receipt).contains(payment.getData(Fields.ID));
    }

    @Override
    Payment remains() {
        return remains;
    }

    @Override
    void work() throws Exception {
        try {
            options = plugin.options();
            ledger = plugin.ledger(options);
        } catch (IllegalArgumentException | IOException error) {
            host.log.error("no payment can begin: {}", error.getMessage());
            error(host.text("not_configured"));
            return;
        }
        number = OrderNumber.of(options.orderPrefix, host.pos.getShopNumber(), host.pos.getPOSNumber(),
                receipt.getShiftNo(), receipt.getNumber());
        try {
            settleEarlier();
            io.github.scopaymaster.till.Payment lane = findOrBegin();
            if (lane != null) {
                conclude(follow(lane));
            }
        } catch (GivenUp unresolved) {
            leaveUnresolved(unresolved.getMessage());
        } catch (LaneProblem problem) {
            if (id == null) {
                refuse(problem);
            } else {
                leaveUnresolved(problem.getMessage());
            }
        } catch (IOException disk) {
            host.log.error("the file of unfinished payments cannot be written", disk);
            if (id == null) {
                error(host.text("not_configured"));
            } else {
                sendToAttendant(id);
            }
        } finally {
            if (!ledger.entries().isEmpty()) {
                plugin.check();
            }
        }
    }

    // --- beginning ----------------------------------------------------------------------------------------------

    /** Receipts before this one are over: what they have left open is not sold any more. */
    private void settleEarlier() throws IOException, InterruptedException {
        for (Ledger.Entry entry : ledger.entries()) {
            if (entry.due == Ledger.Due.OPEN && !entry.order.equals(number)) {
                ledger.mark(entry.id, Ledger.Due.ABANDONED);
            }
        }
        plugin.settleAll(options, ledger);
    }

    private io.github.scopaymaster.till.Payment findOrBegin() throws Exception {
        int leg = 0;
        for (Ledger.Entry entry : ledger.entries()) {
            leg = Math.max(leg, OrderNumber.leg(number, entry.id));
        }
        Set<String> stored = storedIds(receipt);
        for (io.github.scopaymaster.till.Payment known : reach(() -> options.quick.paymentsOfOrder(number))) {
            if (known.getId() == null) {
                continue;
            }
            leg = Math.max(leg, OrderNumber.leg(number, known.getId()));
            if (stored.contains(known.getId())) {
                if (!known.isTaken()) {
                    ledger.put(known.getId(), number, Ledger.Due.TAKEN);
                    settle(known.getId(), 1);
                }
                continue;
            }
            io.github.scopaymaster.till.Payment found = known;
            if (found.isRunning()) {
                id = found.getId();
                ledger.put(id, number, Ledger.Due.OPEN);
                if (isThisLeg(found)) {
                    return found;
                }
                found = follow(reach(() -> options.quick.cancel(known.getId())));
            }
            boolean open = found.getCase() != null;
            if (found.getOutcome() == Outcome.PAID && !found.isTaken() || found.getOutcome() == Outcome.UNKNOWN && open) {
                id = found.getId();
                if (open || found.getAmountKopecks() <= dueKopecks) {
                    ledger.put(id, number, Ledger.Due.OPEN);
                    return reach(() -> options.quick.payment(known.getId()));
                }
                return refusePaid(found, "the receipt is due less than was paid");
            }
            ledger.remove(found.getId());
            id = null;
        }
        return begin(OrderNumber.payment(number, leg + 1));
    }

    private boolean isThisLeg(io.github.scopaymaster.till.Payment payment) {
        return payment.getAmountKopecks() == legKopecks;
    }

    private io.github.scopaymaster.till.Payment begin(String next) throws Exception {
        Order order = Order.of(number, totalKopecks)
                .leg(legKopecks)
                .tenderedElsewhere(totalKopecks - dueKopecks - sbpKopecks)
                .tenderedBySbp(sbpKopecks);
        boolean[] sent = {false};
        ledger.put(next, number, Ledger.Due.OPEN);
        long giveUpAtMs = nowMs() + BUSY_MS;
        try {
            while (true) {
                try {
                    io.github.scopaymaster.till.Payment begun = reach(() -> {
                        try {
                            return (sent[0] ? options.quick : options.lane).begin(next, order);
                        } catch (LaneUnreachable silence) {
                            sent[0] |= silence.mayHaveArrived();
                            throw silence;
                        }
                    });
                    id = next;
                    return begun;
                } catch (LaneProblem problem) {
                    if (!"lane_busy".equals(problem.getCode()) || nowMs() > giveUpAtMs) {
                        throw problem;
                    }
                    freeLane(next);
                    Thread.sleep(200);
                }
            }
        } catch (GivenUp | LaneProblem notBegun) {
            if (sent[0]) { // an earlier request may still reach the lane
                ledger.put(next, number, Ledger.Due.ABANDONED);
                id = notBegun instanceof GivenUp ? next : null;
            } else {
                ledger.remove(next);
            }
            throw notBegun;
        }
    }

    /** The lane is busy with a payment of this till, which has nobody at it any more. */
    private void freeLane(String next) throws IOException, InterruptedException {
        try {
            LaneStatus status = options.quick.lane();
            String other = status.getPayment();
            String ours = options.orderPrefix + host.pos.getShopNumber() + "-" + host.pos.getPOSNumber() + "-";
            if (other != null && !other.equals(next) && other.startsWith(ours)) {
                ledger.put(other, other.substring(0, other.lastIndexOf('-')), Ledger.Due.ABANDONED);
                settle(other, 1);
            }
        } catch (LaneException later) {
            host.log.warn("the lane's payment is not known: {}", later.getMessage());
        }
    }

    private void refuse(LaneProblem problem) throws InterruptedException {
        host.log.error("order {}: no payment began: {}", number, problem.getMessage());
        if ("order_refused".equals(problem.getCode()) && legKopecks != totalKopecks) {
            error(host.text("mixed"));
            return;
        }
        String detail = "en".equals(host.language()) ? problem.getDetail() : problem.getDetailRu();
        error(host.text("refused") + "\n" + detail);
    }

    // --- the end ------------------------------------------------------------------------------------------------

    private void conclude(io.github.scopaymaster.till.Payment payment) throws Exception {
        if (payment.getOutcome() == Outcome.PAID && payment.getCase() == null) {
            sell(payment);
            return;
        }
        ledger.remove(payment.getId());
        if (payment.getOutcome() == Outcome.UNPAID || payment.getOutcome() == Outcome.NOT_PRESENTED) {
            host.log.info("{}: {} {}", payment, payment.getReason(), payment.getDetail());
            if (formsFailed || !"customer".equals(payment.getReason())) {
                error(host.text("unpaid"));
            }
            return;
        }
        remains = new Payment();
        keep(remains, payment);
        sendToAttendant(payment);
    }

    /** The bank has the money: the till stores the payment, then the lane learns it. */
    private void sell(io.github.scopaymaster.till.Payment payment) throws Exception {
        CompletableFuture<Boolean> stored = new CompletableFuture<>();
        Host.inUi(() -> {
            try {
                completed(sold(payment));
                stored.complete(true);
            } catch (Exception | LinkageError refused) {
                host.log.error("the till's paymentCompleted failed", refused);
                stored.complete(false);
            }
        });
        boolean sold;
        try {
            sold = stored.get(STORE_S, TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException unclear) {
            host.log.error("whether the till has stored payment {} is not known; its receipt will say", payment.getId());
            return;
        }
        if (sold) {
            ledger.put(payment.getId(), number, Ledger.Due.TAKEN);
            settle(payment.getId(), SETTLE_TRIES);
        } else {
            refusePaid(payment, "the till did not store the payment");
        }
    }

    private io.github.scopaymaster.till.Payment refusePaid(io.github.scopaymaster.till.Payment payment, String why)
            throws Exception {
        host.log.error("payment {} is paid and cannot be sold: {}", payment.getId(), why);
        remains = new Payment();
        keep(remains, payment);
        ledger.put(payment.getId(), number, Ledger.Due.ABANDONED);
        settle(payment.getId(), SETTLE_TRIES);
        try {
            io.github.scopaymaster.till.Payment refused = options.quick.payment(payment.getId());
            keep(remains, refused);
            sendToAttendant(refused);
        } catch (LaneException later) {
            sendToAttendant(payment.getId());
        }
        return null;
    }

    private void leaveUnresolved(String why) throws IOException, InterruptedException {
        if (id == null) {
            host.log.warn("order {}: no payment began: {}", number, why);
            return;
        }
        host.log.error("payment {} is left without an outcome: {}", id, why);
        remains = new Payment();
        remains.getData().put(Fields.ID, id);
        remains.getData().put(Fields.ORDER, number);
        remains.getData().put(Fields.AMOUNT_KOPECKS, Long.toString(legKopecks));
        remains.getData().put(Fields.OUTCOME, Outcome.UNKNOWN.getWord());
        ledger.put(id, number, Ledger.Due.ABANDONED);
        sendToAttendant(id);
    }
}
