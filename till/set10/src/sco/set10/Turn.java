package sco.set10;

import io.github.scopaymaster.till.Kopecks;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.api.ui.listener.DialogListener;
import ru.crystals.pos.spi.plugin.payment.PaymentCallback;
import ru.crystals.pos.spi.ui.DialogFormParameters;
import ru.crystals.pos.spi.ui.UIForms;

/**
 * The time for which the till has handed itself to the plugin: from doPayment, doPaymentCancel or doRefund to the one
 * call back. All that waits is done in a thread that ends with the turn.
 */
abstract class Turn implements Runnable {
    /** What the customer did with a form. */
    enum Answer {
        BUTTON_1,
        BUTTON_2,
        CLOSED,
        CONFIRMED,
        /** The till could not show it. */
        NOT_SHOWN
    }

    interface Form {
        void show(UIForms forms);
    }

    /** Nobody may be there to confirm an error; then the till goes on without. */
    static final int CONFIRM_S = 120;

    final Host host;
    /** How many forms in a row the till has not shown. A spinner asks for nothing and does not count. */
    final AtomicInteger notShown = new AtomicInteger();

    private final PaymentCallback callback;
    private final AtomicBoolean over = new AtomicBoolean();

    Turn(Host host, PaymentCallback callback) {
        this.host = host;
        this.callback = callback;
    }

    /** What the turn is for; ends with one of the calls back, in every case. */
    abstract void work() throws Exception;

    /** What the till is to keep of a turn that ends without a payment; null for nothing. */
    abstract Payment remains();

    /** Whether the till has {@code payment}, whatever came of its call back. */
    abstract boolean isStored(Payment payment);

    /** Whether the turn is about this order, or may be. */
    abstract boolean isOf(String order);

    final boolean isOver() {
        return over.get();
    }

    @Override
    public final void run() {
        try {
            work();
        } catch (InterruptedException stopping) {
            host.log.warn("the plugin's thread was stopped");
        } catch (Exception | LinkageError error) {
            host.log.error("the plugin failed", error);
        } finally {
            notCompleted();
        }
    }

    // --- the till's forms ---------------------------------------------------------------------------------------

    final void spinner(String text) {
        show(forms -> forms.showSpinnerForm(text), () -> {});
    }

    /** Show a form; that the till cannot is an answer. */
    final void show(Form form, BlockingQueue<Answer> answers) {
        show(forms -> {
            form.show(forms);
            notShown.set(0);
        }, () -> {
            notShown.incrementAndGet();
            answers.add(Answer.NOT_SHOWN);
        });
    }

    private void show(Form form, Runnable failed) {
        Host.inUi(() -> {
            if (over.get()) {
                return;
            }
            try {
                form.show(host.forms);
            } catch (RuntimeException | LinkageError error) {
                host.log.warn("the till does not show a form: {}", error.toString());
                failed.run();
            }
        });
    }

    final void dialog(String text, String button1, String button2, BlockingQueue<Answer> answers) {
        DialogListener listener = new DialogListener() {
            @Override
            public void eventButton1pressed() {
                answers.add(Answer.BUTTON_1);
            }

            @Override
            public void eventButton2pressed() {
                answers.add(Answer.BUTTON_2);
            }

            @Override
            public void eventCanceled() {
                answers.add(Answer.CLOSED);
            }
        };
        show(forms -> forms.showDialogForm(new DialogFormParameters(text, button1, button2), listener), answers);
    }

    /** Show an error until it is confirmed, it cannot be shown, or {@link #CONFIRM_S} are over. */
    final void error(String text) throws InterruptedException {
        BlockingQueue<Answer> answers = new LinkedBlockingQueue<>();
        host.log.warn("shown: {}", text);
        show(forms -> forms.showErrorForm(text, () -> answers.add(Answer.CONFIRMED)), answers);
        answers.poll(CONFIRM_S, TimeUnit.SECONDS);
    }

    // --- the call back ------------------------------------------------------------------------------------------

    /**
     * Report the payment to the till, in its UI thread. What it throws is the caller's; then the turn goes on.
     *
     * @return whether the till has it now: a till may return from the call back and store the payment later, or not at all
     */
    final boolean completed(Payment payment) throws Exception {
        over.set(true);
        try {
            callback.paymentCompleted(payment);
            return has(payment);
        } catch (Exception | LinkageError refused) {
            over.set(has(payment));
            if (!over.get()) {
                throw refused;
            }
            host.log.error("the till's paymentCompleted failed after it had stored the payment", refused);
            return true;
        }
    }

    private boolean has(Payment payment) {
        try {
            return isStored(payment);
        } catch (RuntimeException | LinkageError error) {
            host.log.error("the till's receipt cannot be read", error);
            return false;
        }
    }

    /** End the turn without a payment, if it has not ended. */
    final void notCompleted() {
        Host.inUi(() -> {
            if (!over.compareAndSet(false, true)) {
                return;
            }
            try {
                Payment remains = remains();
                if (remains == null) {
                    callback.paymentNotCompleted();
                } else {
                    callback.paymentNotCompleted(remains);
                }
            } catch (RuntimeException | LinkageError error) {
                host.log.error("the till's paymentNotCompleted failed", error);
            }
        });
    }

    static void keep(Payment payment, io.github.scopaymaster.till.Payment lane) {
        Map<String, String> data = payment.getData();
        data.put(Fields.ID, lane.getId());
        data.put(Fields.ORDER, lane.getOrder());
        data.put(Fields.ATTEMPT, lane.getAttempt());
        data.put(Fields.AMOUNT_KOPECKS, Long.toString(lane.getAmountKopecks()));
        if (lane.getPaymentId() != null) {
            data.put(Fields.PAYMENT_ID, lane.getPaymentId());
        }
        if (lane.getOutcome() != null) {
            data.put(Fields.OUTCOME, lane.getOutcome().getWord());
        }
        if (lane.getCase() != null) {
            data.put(Fields.CASE, lane.getCase().toString());
        }
    }

    static Payment sold(io.github.scopaymaster.till.Payment lane) {
        Payment payment = new Payment();
        payment.setSum(Kopecks.toRoubles(lane.getAmountKopecks()));
        keep(payment, lane);
        return payment;
    }
}
