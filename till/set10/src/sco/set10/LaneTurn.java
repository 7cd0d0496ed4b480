package sco.set10;

import io.github.scopaymaster.till.Choice;
import io.github.scopaymaster.till.Kopecks;
import io.github.scopaymaster.till.LaneException;
import io.github.scopaymaster.till.LaneProblem;
import io.github.scopaymaster.till.LaneUnreachable;
import io.github.scopaymaster.till.Payment;
import io.github.scopaymaster.till.ScreenState;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import ru.crystals.pos.api.ui.listener.CancelListener;
import ru.crystals.pos.spi.equipment.CustomerDisplayMessage;
import ru.crystals.pos.spi.plugin.payment.PaymentCallback;
import ru.crystals.pos.spi.ui.QrFormParameters;

/** A turn that speaks with the lane's service and shows what the lane shows, also while the service does not answer. */
abstract class LaneTurn extends Turn {
    interface Request<T> {
        T send() throws LaneException, InterruptedException;
    }

    /** The service stays away, and the customer or the time says to go on without it. */
    static final class GivenUp extends Exception {
        private static final long serialVersionUID = 1L;

        GivenUp(String why) {
            super(why);
        }
    }

    private static final int NEWS_S = 2;
    private static final int PAUSE_MS = 300;
    private static final long PATIENCE_MS = 8_000;
    private static final long GIVE_UP_MS = 300_000;
    /** The lane opens a case long before. */
    private static final long AFTER_EXPIRY_MS = 900_000;
    private static final int FORM_TRIES = 4;
    private static final String NOT_BEGUN_YET = "not_begun_yet";
    /** A token that was replaced, a request that came too slowly, too many of them. */
    private static final Set<Integer> NOT_ABOUT_PAYMENT = new HashSet<>(Arrays.asList(401, 403, 408, 429));
    /** Views of a payment without an outcome. */
    private static final Set<String> ASKING = new HashSet<>(Arrays.asList("wait", "pay", "dialog"));

    Options options;
    Ledger ledger;

    private long silentSinceMs;
    private long decidedAtMs;
    private BlockingQueue<Answer> ownDialog;
    private final BlockingQueue<Answer> formFailures = new LinkedBlockingQueue<>();
    private volatile String shown; // what the till has been asked to show
    private volatile boolean showAgain; // it is not on the screen any more, or never was
    private boolean displayAsked; // the customer display may show a code, now or when the UI thread comes to it
    private volatile boolean codeOnDisplay;
    boolean formsFailed;

    LaneTurn(Host host, PaymentCallback callback) {
        super(host, callback);
    }

    // --- requests over silence ----------------------------------------------------------------------------------

    /** Whether a payment has begun, or may have: then a refusal that is not about it ends nothing. */
    abstract boolean isUnderWay();

    /** Send until there is an answer; the customer is asked when there is none for long. */
    final <T> T reach(Request<T> request) throws GivenUp, LaneProblem, InterruptedException {
        while (true) {
            long startMs = nowMs();
            try {
                T answer = request.send();
                heard();
                return answer;
            } catch (LaneUnreachable silence) {
                silent(startMs, silence);
            } catch (LaneProblem problem) {
                if (!isSilence(problem)) {
                    heard();
                    throw problem;
                }
                silent(startMs, problem);
            } catch (LaneException other) {
                silent(startMs, other);
            }
        }
    }

    /** The service has not looked at the payment, or not begun it yet: as good as no answer. */
    private boolean isSilence(LaneProblem problem) {
        if (problem.getStatus() >= 500) {
            return problem.isRetry();
        }
        return NOT_BEGUN_YET.equals(problem.getCode()) || isUnderWay() && NOT_ABOUT_PAYMENT.contains(problem.getStatus());
    }

    private void heard() {
        silentSinceMs = 0;
        if (ownDialog != null) {
            ownDialog = null;
            spinner(host.text("wait"));
        }
    }

    private void silent(long sinceMs, LaneException why) throws GivenUp, InterruptedException {
        if (silentSinceMs == 0) {
            host.log.warn("the payment service does not answer: {}", why.getMessage());
            silentSinceMs = sinceMs;
            decidedAtMs = sinceMs;
        }
        if (nowMs() - silentSinceMs > GIVE_UP_MS) {
            throw new GivenUp("no answer for " + GIVE_UP_MS / 1000 + " s");
        }
        if (ownDialog == null && nowMs() - decidedAtMs >= PATIENCE_MS) {
            ownDialog = new LinkedBlockingQueue<>();
            showAgain = true; // whatever the customer answers, the lane's form is not there any more
            dialog(host.text("dialog"), host.text("retry"), host.text("cancel"), ownDialog);
        }
        Answer answer = ownDialog == null ? pause() : ownDialog.poll(PAUSE_MS, TimeUnit.MILLISECONDS);
        if (answer == Answer.BUTTON_1) {
            ownDialog = null;
            decidedAtMs = nowMs();
            spinner(host.text("wait"));
        } else if (answer == Answer.BUTTON_2) {
            throw new GivenUp("the customer cancelled while the service did not answer");
        } else if (answer == Answer.CLOSED) {
            ownDialog = null;
        } else if (answer == Answer.NOT_SHOWN) {
            ownDialog = null;
            if (notShown.get() >= FORM_TRIES) {
                throw new GivenUp("the service does not answer and the till shows no dialog");
            }
            pause();
        }
    }

    private static Answer pause() throws InterruptedException {
        Thread.sleep(PAUSE_MS);
        return null;
    }

    static long nowMs() {
        return System.nanoTime() / 1_000_000;
    }

    // --- a payment until it has an outcome ----------------------------------------------------------------------

    /** Show what the lane shows of a payment until it has an outcome. */
    final Payment follow(Payment payment) throws GivenUp, LaneProblem, InterruptedException {
        return follow(payment, ASKING);
    }

    /** Cancel a payment and wait for its outcome. Its code is not shown any more. */
    final Payment cancel(String id) throws GivenUp, LaneProblem, InterruptedException {
        return follow(reach(() -> options.quick.cancel(id)), Collections.singleton("dialog"));
    }

    private Payment follow(Payment begun, Set<String> views) throws GivenUp, LaneProblem, InterruptedException {
        Payment payment = begun;
        String id = payment.getId();
        long version = 0;
        boolean cancelled = false;
        long endMs = nowMs() + Math.max(0, payment.getExpiresAtMs() - payment.getBegunAtMs()) + AFTER_EXPIRY_MS;
        try {
            while (payment.isRunning()) {
                if (nowMs() > endMs) {
                    throw new GivenUp("it has expired long ago and still has no outcome");
                }
                long after = version;
                ScreenState screen = reach(() -> options.quick.screen(after, showAgain ? 0 : NEWS_S));
                boolean asksCustomer = id.equals(screen.getPayment()) && views.contains(screen.getView());
                if (asksCustomer && !formsFailed) {
                    show(id, screen);
                }
                if (!asksCustomer || screen.getVersion() == version) {
                    payment = reach(() -> options.quick.payment(id));
                }
                version = screen.getVersion();
                if (payment.isRunning() && (showAgain || formsFailed)) {
                    pause();
                }
                if (formFailures.poll() != null) {
                    showAgain = true;
                    formsFailed = notShown.get() >= FORM_TRIES && !codeOnDisplay;
                }
                if (formsFailed && !cancelled) {
                    host.log.error("payment {}: the till shows no form, so it is cancelled", id);
                    reach(() -> options.quick.cancel(id));
                    cancelled = true;
                }
            }
        } finally {
            clearDisplay();
        }
        return payment;
    }

    private void show(String id, ScreenState screen) {
        ScreenState.Text text = screen.getText(host.language());
        String retry = null;
        String cancel = null;
        for (ScreenState.Button button : screen.getButtons()) {
            if (Choice.RETRY.getWord().equals(button.getId())) {
                retry = button.getText(host.language());
            } else if (Choice.CANCEL.getWord().equals(button.getId())) {
                cancel = button.getText(host.language());
            }
        }
        String words = words(text);
        String next = String.join("\n", screen.getView(), words, screen.getLink(), retry, cancel);
        if (next.equals(shown) && !showAgain) {
            return;
        }
        shown = next;
        showAgain = false;
        CancelListener cancelled = cancel == null ? null : () -> press(id, Choice.CANCEL);
        switch (screen.getView()) {
            case "wait":
                spinner(words);
                break;
            case "pay":
                showHowToPay(screen, words, cancelled, cancel);
                break;
            case "dialog":
                BlockingQueue<Answer> answers = new LinkedBlockingQueue<Answer>() {
                    private static final long serialVersionUID = 1L;

                    @Override
                    public boolean add(Answer answer) {
                        switch (answer) {
                            case BUTTON_1:
                                press(id, Choice.RETRY);
                                return true;
                            case BUTTON_2:
                                press(id, Choice.CANCEL);
                                return true;
                            case CLOSED:
                                showAgain = true;
                                return true;
                            default:
                                return formFailures.add(answer);
                        }
                    }
                };
                dialog(words, retry, cancel, answers);
                break;
            default:
                break; // the outcome says the rest
        }
    }

    private void showHowToPay(ScreenState screen, String words, CancelListener cancelled, String cancel) {
        String link = screen.getLink();
        if (link == null) {
            if (cancelled == null) {
                show(forms -> forms.showSpinnerForm(words), formFailures);
            } else {
                show(forms -> forms.showSpinnerFormWithCancel(words, cancelled), formFailures);
            }
            return;
        }
        BigDecimal sum = screen.getAmountKopecks() == null ? null : Kopecks.toRoubles(screen.getAmountKopecks());
        displayAsked = true;
        Host.inUi(() -> {
            if (isOver()) {
                return;
            }
            try {
                if (host.display != null && host.display.canShowQr()) {
                    host.display.display(new CustomerDisplayMessage(words, link, sum));
                    codeOnDisplay = true;
                }
            } catch (RuntimeException | LinkageError error) {
                host.log.warn("the customer display shows no code: {}", error.toString());
            }
        });
        show(forms -> forms.showQrForm(new QrFormParameters(link, words, sum, cancelled, cancel)), formFailures);
    }

    private void clearDisplay() {
        if (displayAsked) {
            displayAsked = false;
            Host.inUi(() -> { // after what was asked of the display before
                if (!codeOnDisplay) {
                    return;
                }
                codeOnDisplay = false;
                try {
                    host.display.clear();
                } catch (RuntimeException | LinkageError error) {
                    host.log.warn("the customer display was not cleared: {}", error.toString());
                }
            });
        }
    }

    /** The customer pressed a button of the lane's: runs in the UI thread; the lane is asked in another. */
    private void press(String id, Choice choice) {
        spinner(host.text("wait"));
        Host.inBackground("choice", () -> {
            try {
                for (int tries = 3; ; tries--) {
                    try {
                        options.quick.choose(id, choice);
                        break;
                    } catch (LaneUnreachable silence) {
                        if (tries == 1) {
                            throw silence;
                        }
                        pause();
                    }
                }
            } catch (LaneException notTaken) {
                host.log.warn("payment {}: {} was not taken: {}", id, choice.getWord(), notTaken.getMessage());
            } catch (InterruptedException stopping) {
                return;
            } finally {
                showAgain = true;
            }
        });
    }

    static String words(ScreenState.Text text) {
        StringBuilder words = new StringBuilder(text.getHeadline());
        for (String line : text.getLines()) {
            words.append('\n').append(line);
        }
        return words.toString();
    }

    // --- ends ---------------------------------------------------------------------------------------------------

    /** The attendant must decide; the case's number is shown where there is one. */
    final void sendToAttendant(Payment payment) throws InterruptedException {
        String words = host.text("attendant");
        try {
            ScreenState screen = options.quick.screen(0, 0);
            if ("attendant".equals(screen.getView()) && payment.getId().equals(screen.getPayment())) {
                words = words(screen.getText(host.language()));
            }
        } catch (LaneException silence) {
            host.log.warn("the till's own words are shown: {}", silence.getMessage());
        }
        if (payment.getCase() != null && !words.contains(payment.getCase().toString())) {
            words += "\n" + String.format(host.text("case"), payment.getCase());
        }
        error(words);
    }

    /** Nobody can say whether {@code id} was paid or will be. */
    final void sendToAttendant(String id) throws InterruptedException {
        error(host.text("attendant") + "\n" + String.format(host.text("unresolved"), id));
    }

    /** Settle a payment now if the lane answers; otherwise it stays in the ledger. */
    final void settle(String id, int tries) throws InterruptedException {
        for (int left = tries; left > 0; left--) {
            Ledger.Entry entry = ledger.get(id);
            try {
                if (entry == null
                        || Settlement.settle(ledger, entry, options.quick, host.log) == Settlement.State.SETTLED) {
                    return;
                }
            } catch (IOException later) {
                host.log.warn("payment {} ({}) is settled later: {}", id, entry.due, later.getMessage());
            }
            if (left > 1) {
                pause();
            }
        }
    }
}
