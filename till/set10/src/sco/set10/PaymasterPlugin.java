package sco.set10;

import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneProblem;
import io.github.scopaymaster.till.LaneStatus;
import io.github.scopaymaster.till.LaneUnreachable;
import java.awt.EventQueue;
import java.io.IOException;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import ru.crystals.pos.api.plugin.PaymentPlugin;
import ru.crystals.pos.spi.IntegrationProperties;
import ru.crystals.pos.spi.POSInfo;
import ru.crystals.pos.spi.POSType;
import ru.crystals.pos.spi.ResBundle;
import ru.crystals.pos.spi.annotation.Inject;
import ru.crystals.pos.spi.annotation.POSPlugin;
import ru.crystals.pos.spi.equipment.CustomerDisplay;
import ru.crystals.pos.spi.feedback.Feedback;
import ru.crystals.pos.spi.plugin.payment.CancelRequest;
import ru.crystals.pos.spi.plugin.payment.PaymentCallback;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.plugin.payment.RefundRequest;
import ru.crystals.pos.spi.receipt.Receipt;
import ru.crystals.pos.spi.ui.UIForms;

/**
 * The payment type «Оплата по QR-коду/NFC СБП» of a Set Retail 10 self-checkout. The lane's service takes the payment; the
 * plugin shows what the service says and tells it what the till has stored. No method waits for the service.
 */
@POSPlugin(id = PaymasterPlugin.ID)
public class PaymasterPlugin implements PaymentPlugin {
    static final String ID = "sco.paymaster.payment";

    /** How long "the service cannot take payments" is believed; afterwards a payment may be tried. */
    private static final long BELIEVED_MS = 30_000;

    /** A cancelled payment has its outcome soon; what it owes then is settled without another call of the till. */
    private static final int OWED_TRIES = 60;

    private static final int OWED_PAUSE_MS = 1_000;

    @Inject
    private POSInfo pos;

    @Inject
    private UIForms forms;

    @Inject
    private CustomerDisplay display;

    @Inject
    private IntegrationProperties properties;

    @Inject
    private ResBundle strings;

    @Inject
    private Logger log;

    private final AtomicBoolean checking = new AtomicBoolean();
    private final AtomicReference<String> unavailable = new AtomicReference<>();
    private final AtomicReference<String> seen = new AtomicReference<>();
    private final Set<String> told = ConcurrentHashMap.newKeySet(); // feedback that the lane has had
    private volatile String obstacle; // why the last check says that no payment can begin; null for nothing
    private volatile long checkedAtMs;
    private volatile Ledger ledger;
    private volatile Turn turn;

    // --- whether the payment type is offered --------------------------------------------------------------------

    @Override
    public boolean isAvailable() {
        String why = null;
        if (pos.getPOSType() != POSType.SCO) {
            why = "this till is " + pos.getPOSType() + ", the payment type is for SCO";
        } else {
            try {
                options();
                boolean believed = LaneTurn.nowMs() - checkedAtMs < BELIEVED_MS;
                why = believed ? obstacle : null;
                check();
            } catch (IllegalArgumentException error) {
                why = error.getMessage();
            }
        }
        if (isNews(unavailable.getAndSet(why), why)) {
            log.info("isAvailable=false: {}", why);
        }
        return why == null;
    }

    /** Whether there is something to log that was not logged before: the till asks very often. */
    private static boolean isNews(String before, String now) {
        return now != null && !now.equals(before);
    }

    /** Ask the service in the background whether it can take payments, and settle what is owed to it. */
    void check() {
        if (!checking.compareAndSet(false, true)) {
            return;
        }
        try {
            Host.inBackground("check", () -> {
                try {
                    for (int tries = OWED_TRIES; tries > 0 && examine(); tries--) {
                        Thread.sleep(OWED_PAUSE_MS);
                    }
                } catch (InterruptedException stopping) {
                    log.warn("the check was stopped");
                } finally {
                    checking.set(false);
                }
            });
        } catch (OutOfMemoryError noThread) {
            checking.set(false);
            log.warn("no thread for the check: {}", noThread.getMessage());
        }
    }

    /** Whether something is owed to the lane, and it answers. */
    private boolean examine() throws InterruptedException {
        String found = null;
        boolean owed = false;
        try {
            Options options = options();
            Ledger known = ledger(options);
            LaneStatus status = options.quick.lane();
            if ("out_of_service".equals(options.quick.screen(0, 0).getView())) {
                found = "the lane is out of service";
            } else {
                String lane = "lane " + status.getLaneId() + ", display mode " + status.getMode() + ", profile "
                        + status.getProfile();
                if (isNews(seen.getAndSet(lane), lane)) {
                    log.info("{}", lane);
                }
                owed = settleAll(options, known);
            }
        } catch (LaneException | IllegalArgumentException error) {
            found = error.getMessage();
        } catch (IOException error) {
            found = "the file of unfinished payments cannot be used: " + error.getMessage();
        }
        if (isNews(obstacle, found)) {
            log.warn("no payment can begin: {}", found);
        }
        obstacle = found;
        checkedAtMs = LaneTurn.nowMs();
        return owed;
    }

    // --- turns --------------------------------------------------------------------------------------------------

    @Override
    public void doPayment(PaymentRequest request) {
        begin(request.getPaymentCallback(), () -> new PaymentTurn(host(), this, request));
    }

    @Override
    public void doPaymentCancel(CancelRequest request) {
        begin(request.getPaymentCallback(), () -> new CancelTurn(host(), this, request));
    }

    @Override
    public void doRefund(RefundRequest request) {
        begin(request.getPaymentCallback(), () -> new RefundTurn(host(), request.getPaymentCallback()));
    }

    private interface Making {
        Turn make();
    }

    private synchronized void begin(PaymentCallback callback, Making making) {
        try {
            if (turn != null && !turn.isOver()) {
                throw new IllegalStateException("the payment step before is not over");
            }
            Turn next = making.make();
            next.spinner(strings.getString("wait"));
            Host.inBackground("turn", next);
            turn = next;
        } catch (RuntimeException | OutOfMemoryError | LinkageError error) {
            log.error("the payment did not begin", error);
            callback.paymentNotCompleted();
        }
    }

    private Host host() {
        return new Host(pos, forms, display, strings, log);
    }

    Options options() {
        return Options.read(properties.getServiceProperties());
    }

    Ledger ledger(Options options) throws IOException {
        synchronized (checking) { // never the UI thread
            if (ledger == null) {
                ledger = Ledger.open(options.stateFile);
            }
            return ledger;
        }
    }

    /** Settle all that is owed to the lane, as far as it answers; returns whether a payment needs another try. */
    boolean settleAll(Options options, Ledger known) throws InterruptedException {
        boolean owed = false;
        for (Ledger.Entry entry : known.entries()) {
            try {
                owed |= entry.due != Ledger.Due.OPEN
                        && Settlement.settle(known, entry, options.quick, log) == Settlement.State.UNDER_WAY;
            } catch (IOException later) {
                log.warn("payment {} ({}) is settled later: {}", entry.id, entry.due, later.getMessage());
                if (later instanceof LaneUnreachable) {
                    return false;
                }
                owed |= later instanceof LaneProblem && ((LaneProblem) later).isRetry();
            }
        }
        return owed;
    }

    // --- the receipt is printed ---------------------------------------------------------------------------------

    @Override
    public Feedback eventReceiptFiscalized(Receipt receipt, boolean isCancelReceipt) {
        try {
            String number = OrderNumber.of(options().orderPrefix, pos.getShopNumber(), pos.getPOSNumber(),
                    receipt.getShiftNo(), receipt.getNumber());
            PrintedReceipt printed = PrintedReceipt.of(number, receipt, isCancelReceipt);
            if (printed.voidsOurs()) {
                log.error("receipt {} was voided but has the payments {}: an attendant must decide on each", number,
                        printed.ids);
            }
            if (!owes(printed)) {
                return null;
            }
            tell(printed);
            return new Feedback(printed.payload());
        } catch (RuntimeException | OutOfMemoryError error) {
            log.error("a printed receipt was not looked at", error);
            return null;
        }
    }

    private boolean owes(PrintedReceipt receipt) {
        Ledger known = ledger;
        if (known == null || receipt.voidsOurs()) { // the till has just started, or the ledger need not know of it
            return true;
        }
        return known.entries().stream().anyMatch(receipt::concerns);
    }

    @Override
    public void onRepeatSend(Feedback feedback) throws Exception {
        PrintedReceipt receipt = PrintedReceipt.parse(feedback.getPayload());
        if (receipt == null) {
            log.error("not a payload of this plugin, dropped: {}", feedback.getPayload());
            return;
        }
        if (told.contains(receipt.payload())) {
            return;
        }
        if (!EventQueue.isDispatchThread()) {
            settle(receipt);
        } else if (owes(receipt)) {
            tell(receipt);
            throw new IllegalStateException("it is sent in the background; repeat to hear that it was taken");
        }
    }

    private void tell(PrintedReceipt receipt) {
        Host.inBackground("receipt", () -> {
            try {
                settle(receipt);
            } catch (Exception later) {
                log.warn("receipt {}: the till repeats: {}", receipt.order, later.getMessage());
            }
        });
    }

    private void settle(PrintedReceipt receipt) throws Exception {
        Options options = options();
        receipt.settle(ledger(options), options.quick, turn, log);
        if (receipt.voidsOurs()) {
            told.add(receipt.payload());
        }
    }
}
