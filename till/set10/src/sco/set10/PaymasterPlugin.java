package sco.set10;

import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneStatus;
import java.awt.EventQueue;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
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
        if (why != null) {
            log.info("isAvailable=false: {}", why);
        }
        return why == null;
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
                log.info("lane {}, display mode {}, profile {}", status.getLaneId(), status.getMode(), status.getProfile());
                owed = settleAll(options, known);
            }
        } catch (LaneException | IllegalArgumentException error) {
            found = error.getMessage();
        } catch (IOException error) {
            found = "the file of unfinished payments cannot be used: " + error.getMessage();
        }
        if (found != null) {
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
                return false;
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
            Set<String> sold = PaymentTurn.storedIds(receipt);
            if (isCancelReceipt && !sold.isEmpty()) {
                log.error("receipt {} was voided but has the payments {}: an administrator must refund them",
                        number, sold);
            }
            if (!owes(number, sold)) {
                return null;
            }
            List<String> payload = new ArrayList<>(Arrays.asList("1", number, isCancelReceipt ? "annulled" : "sold"));
            payload.addAll(sold);
            Feedback feedback = new Feedback(String.join(" ", payload));
            Host.inBackground("receipt", () -> {
                try {
                    settleReceipt(feedback);
                } catch (Exception later) {
                    log.warn("receipt {}: the till repeats: {}", number, later.getMessage());
                }
            });
            return feedback;
        } catch (RuntimeException | OutOfMemoryError error) {
            log.error("a printed receipt was not looked at", error);
            return null;
        }
    }

    private boolean owes(String number, Set<String> sold) {
        Ledger known = ledger;
        if (known == null) { // the till has just started: the file is not read in this thread
            return true;
        }
        for (Ledger.Entry entry : known.entries()) {
            if (entry.order.equals(number) || sold.contains(entry.id)) {
                return true;
            }
        }
        return false;
    }

    @Override
    public void onRepeatSend(Feedback feedback) throws Exception {
        if (EventQueue.isDispatchThread()) {
            Host.inBackground("receipt", () -> {
                try {
                    settleReceipt(feedback);
                } catch (Exception later) {
                    log.warn("the till repeats: {}", later.getMessage());
                }
            });
            throw new IllegalStateException("it is sent in the background; repeat to hear that it was taken");
        }
        settleReceipt(feedback);
    }

    /** What the printed receipt has of ours is sold; what it has not, is not sold any more. */
    private void settleReceipt(Feedback feedback) throws Exception {
        List<String> payload = Arrays.asList(feedback.getPayload().split(" "));
        if (payload.size() < 3 || !"1".equals(payload.get(0))) {
            log.error("not a payload of this plugin, dropped: {}", feedback.getPayload());
            return;
        }
        String number = payload.get(1);
        boolean annulled = "annulled".equals(payload.get(2));
        List<String> sold = payload.subList(3, payload.size());
        Options options = options();
        Ledger known = ledger(options);
        Turn current = turn;
        boolean pending = false;
        for (Ledger.Entry entry : known.entries()) {
            boolean isSold = sold.contains(entry.id) && !annulled;
            if (!entry.order.equals(number) && !sold.contains(entry.id)) {
                continue;
            }
            if (entry.due == Ledger.Due.OPEN && current != null && !current.isOver()) {
                continue; // its turn goes on
            }
            Ledger.Entry marked = known.mark(entry.id, isSold ? Ledger.Due.TAKEN : Ledger.Due.ABANDONED);
            pending |= marked != null
                    && Settlement.settle(known, marked, options.quick, log) == Settlement.State.UNDER_WAY;
        }
        if (pending) {
            throw new IOException("a payment of order " + number + " is not settled yet");
        }
    }
}
