package sco.set10;

import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneProblem;
import io.github.scopaymaster.till.LaneStatus;
import io.github.scopaymaster.till.LaneUnreachable;
import io.github.scopaymaster.till.Order;
import io.github.scopaymaster.till.Outcome;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.receipt.Receipt;

/** One leg of a receipt: finds the payment that a stopped till has left, or begins one, and brings it to an end. */
final class PaymentTurn extends LaneTurn {
    private static final int STORE_S = 60;
    private static final long BUSY_MS = 20_000;
    private static final int SETTLE_TRIES = 5;
    private static final Set<String> UNPAID_PHASES = new HashSet<>(Arrays.asList("unpaid", "closed"));
    private static final Set<String> ORDER_HAS_MONEY = new HashSet<>(Arrays.asList("order_paid", "order_open"));

    private final PaymasterPlugin plugin;
    private final Receipt receipt;
    private final ReceiptMoney money;
    private volatile String number; // null until the options are read
    private String id; // of the payment that may hold money; null while there is none
    private long idKopecks;
    private boolean sent; // a request to begin may have reached the lane
    private volatile Payment remains;

    /** Reads the receipt, so call it in the till's thread. */
    PaymentTurn(Host host, PaymasterPlugin plugin, PaymentRequest request) {
        super(host, request.getPaymentCallback());
        this.plugin = plugin;
        receipt = request.getReceipt();
        money = new ReceiptMoney(request);
    }

    @Override
    boolean isUnderWay() {
        return id != null || sent;
    }

    @Override
    boolean isOf(String order) {
        String known = number;
        return known == null || known.equals(order);
    }

    @Override
    boolean isStored(Payment payment) {
        return ReceiptMoney.storedIds(receipt).contains(payment.getData(Fields.ID));
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
        if (receipt.getNumber() <= 0 || receipt.getShiftNo() <= 0) { // several receipts would be one order
            host.log.error("no payment can begin: the till gives the receipt the number {} and the shift {}; both must be"
                    + " more than 0 before a payment", receipt.getNumber(), receipt.getShiftNo());
            error(host.text("refused"));
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
        Set<String> left = new HashSet<>();
        for (Ledger.Entry entry : ledger.entries()) {
            leg = Math.max(leg, OrderNumber.leg(number, entry.id));
            if (entry.due == Ledger.Due.OPEN && entry.order.equals(number)) {
                left.add(entry.id);
            }
        }
        Set<String> stored = ReceiptMoney.storedIds(receipt);
        for (io.github.scopaymaster.till.Payment known : reach(() -> options.quick.paymentsOfOrder(number))) {
            if (known.getId() == null) {
                continue;
            }
            left.remove(known.getId());
            leg = Math.max(leg, OrderNumber.leg(number, known.getId()));
            if (stored.contains(known.getId())) {
                if (!known.isTaken()) {
                    ledger.put(known.getId(), number, Ledger.Due.TAKEN);
                    settle(known.getId(), 1);
                }
                continue;
            }
            Ledger.Entry entry = ledger.get(known.getId());
            boolean isReceipts = known.getTotalKopecks() == money.total
                    && (entry == null || entry.due != Ledger.Due.ABANDONED);
            io.github.scopaymaster.till.Payment found = known;
            id = known.getId();
            idKopecks = known.getAmountKopecks();
            if (found.isRunning()) {
                if (isReceipts && idKopecks == money.leg) {
                    ledger.put(id, number, Ledger.Due.OPEN);
                    return found;
                }
                ledger.put(id, number, isReceipts ? Ledger.Due.OPEN : Ledger.Due.ABANDONED);
                found = cancel(id);
            }
            if (isUndecided(found)) {
                return reach(() -> options.quick.payment(known.getId()));
            }
            if (found.getOutcome() == Outcome.PAID && !found.isTaken()) {
                if (isReceipts && idKopecks <= money.due) {
                    ledger.put(id, number, Ledger.Due.OPEN);
                    return reach(() -> options.quick.payment(known.getId()));
                }
                return refusePaid(found, "it was begun for another receipt, or one that has changed since");
            }
            if (found.getOutcome() != Outcome.PAID) { // otherwise it is owed: its receipt was voided
                ledger.remove(found.getId());
            }
            id = null;
        }
        for (String lost : left) { // the request to begin it may still be on its way
            ledger.put(lost, number, Ledger.Due.ABANDONED);
            settle(lost, 1);
        }
        return begin(OrderNumber.payment(number, leg + 1));
    }

    /** The bank has not said that there is no money, whether or not an attendant has closed the case. */
    private static boolean isUndecided(io.github.scopaymaster.till.Payment payment) {
        return payment.getOutcome() == Outcome.UNKNOWN && !UNPAID_PHASES.contains(payment.getPhase())
                || payment.getOutcome() == Outcome.PAID && payment.getCase() != null;
    }

    private io.github.scopaymaster.till.Payment begin(String next) throws Exception {
        Order order = money.order(number);
        ledger.put(next, number, Ledger.Due.OPEN);
        long giveUpAtMs = nowMs() + BUSY_MS;
        try {
            while (true) {
                try {
                    io.github.scopaymaster.till.Payment begun = reach(() -> {
                        try {
                            return (sent ? options.quick : options.lane).begin(next, order);
                        } catch (LaneUnreachable silence) {
                            sent |= silence.mayHaveArrived();
                            throw silence;
                        }
                    });
                    id = next;
                    idKopecks = money.leg;
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
            if (sent) { // an earlier request may still reach the lane
                ledger.put(next, number, Ledger.Due.ABANDONED);
                if (notBegun instanceof GivenUp) {
                    id = next;
                    idKopecks = money.leg;
                }
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
        if ("order_refused".equals(problem.getCode()) && money.isMixed() && !takesMixed()) {
            error(host.text("mixed"));
            return;
        }
        String detail = "en".equals(host.language()) ? problem.getDetail() : problem.getDetailRu();
        error(host.text(ORDER_HAS_MONEY.contains(problem.getCode()) ? "attendant" : "refused") + "\n" + detail);
    }

    /** Whether the lane takes mixed payments at all; where it does not say, the refusal had another reason. */
    private boolean takesMixed() throws InterruptedException {
        try {
            LaneStatus lane = options.quick.lane();
            return "4:3".equals(lane.getProfile()) && lane.getMode() == 1;
        } catch (LaneException silence) {
            return true;
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------

    private void conclude(io.github.scopaymaster.till.Payment ended) throws Exception {
        io.github.scopaymaster.till.Payment payment = ended;
        if (payment.mayReleaseGoods()) { // a case may have been opened since
            payment = reach(() -> options.quick.payment(ended.getId()));
        }
        if (payment.mayReleaseGoods()) {
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
        CompletableFuture<Sale> end = new CompletableFuture<>();
        Host.inUi(() -> {
            try {
                end.complete(completed(sold(payment)) ? Sale.STORED : Sale.UNCLEAR);
            } catch (Exception | LinkageError refused) {
                host.log.error("the till's paymentCompleted failed", refused);
                end.complete(Sale.REFUSED);
            }
        });
        Sale sale;
        try {
            sale = end.get(STORE_S, TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException unclear) {
            sale = Sale.UNCLEAR;
        }
        switch (sale) {
            case STORED:
                ledger.put(payment.getId(), number, Ledger.Due.TAKEN);
                settle(payment.getId(), SETTLE_TRIES);
                break;
            case REFUSED:
                refusePaid(payment, "the till did not store the payment");
                break;
            default:
                host.log.warn("whether the till has stored payment {} is not known; its receipt will say", payment.getId());
        }
    }

    /** What the till made of a payment. */
    private enum Sale {
        STORED,
        REFUSED,
        /** Only the printed receipt will say. */
        UNCLEAR
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
        remains.getData().put(Fields.AMOUNT_KOPECKS, Long.toString(idKopecks));
        remains.getData().put(Fields.OUTCOME, Outcome.UNKNOWN.getWord());
        ledger.put(id, number, Ledger.Due.ABANDONED);
        sendToAttendant(id);
    }
}
