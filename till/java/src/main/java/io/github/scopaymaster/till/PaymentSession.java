package io.github.scopaymaster.till;

import java.net.HttpURLConnection;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * One payment from its beginning to its outcome, over lost answers and restarts of the service and of the till.
 *
 * <pre>{@code
 * PaymentSession session = PaymentSession.begin(client, id, Order.of("7-2-15-301", 125_000), new PaymentSession.Listener() {
 *     public void changed(Payment payment, String link) {
 *         // show a spinner, the code of `link`, or the dialog if payment.isAsking()
 *     }
 * });
 * Payment payment = session.run();          // in a thread of the till's own, never in that of its screen
 * if (payment.mayReleaseGoods()) {
 *     // store the sale, then:
 *     payment = session.taken(10_000);      // LaneUnreachable: keep the goods, and repeat it until it is answered
 * }
 * if (payment.mayReleaseGoods()) {          // asked once more: a case may have been opened meanwhile
 *     // the fiscal receipt, the goods
 * }
 * }</pre>
 *
 * <p>Write the id to the till's disk before {@link #run}. After a restart of the till, {@link #resume} finds the payment by
 * it.
 *
 * <p>{@link #run} uses the caller's thread and starts none that outlives it. {@link #cancel} and {@link #choose} may be
 * called from any thread, such as that of the screen: they return at once.
 */
public final class PaymentSession {
    /** Hears what happens to a payment, in the thread of {@link PaymentSession#run}. Must return soon. */
    public interface Listener {
        /**
         * The payment is begun, or has changed: show it.
         *
         * @param payment as it is now
         * @param link what the code for the customer says, or null while there is none
         */
        default void changed(Payment payment, String link) {
        }

        /**
         * An event of the payment. After {@link PaymentSession#resume} they come from its beginning. The last ones may be
         * missing, since {@link PaymentSession#run} returns as soon as there is an outcome; {@link EventFollower} has all.
         *
         * @param event the event
         */
        default void event(LaneEvent event) {
        }

        /**
         * The service does not answer. The session keeps asking. Called once, until it answers again.
         *
         * @param why the first failure
         */
        default void connectionLost(LaneUnreachable why) {
        }

        /** The service answers again. */
        default void connectionRestored() {
        }
    }

    private static final Logger LOG = Logger.getLogger(PaymentSession.class.getName());
    private static final String NO_SUCH_PAYMENT = "no_such_payment";
    private static final int POLL_S = 5;
    private static final long FIRST_PAUSE_MS = 200;
    private static final long LONGEST_PAUSE_MS = 2_000;

    private final LaneClient client;
    private final String id;
    private final Order order;
    private final Listener listener;
    private final AtomicBoolean started = new AtomicBoolean();
    private final Exchange.Wakeup wakeup = new Exchange.Wakeup();
    private long beginWithinMs = 30_000;
    private long silenceMs = 120_000;
    private long longestMs = 3_600_000;
    private volatile boolean cancelWanted;
    private final AtomicReference<Choice> choiceMade = new AtomicReference<>();
    /** The rest belongs to the thread of {@link #run}. */
    private boolean lost;
    private String link;
    private long pauseMs = FIRST_PAUSE_MS;

    private PaymentSession(LaneClient client, String id, Order order, Listener listener) {
        this.client = client;
        this.id = LaneClient.checkId(id);
        this.order = order;
        this.listener = listener;
    }

    /**
     * A session that begins a payment. Nothing is sent before {@link #run}. For an id that an earlier session may have
     * begun, before a restart of the till, use {@link #resume}.
     *
     * @param client the lane
     * @param id the till's id of the payment: 1 to 64 of letters, digits, {@code . _ -}
     * @param order what it is for
     * @param listener hears what happens
     * @return a new session
     * @throws IllegalArgumentException if the id cannot be used
     */
    public static PaymentSession begin(LaneClient client, String id, Order order, Listener listener) {
        return new PaymentSession(client, id, order, listener);
    }

    /**
     * A session that finds a payment again after a restart of the till. It begins none, and waits for one that the service
     * is about to begin.
     *
     * @param client the lane
     * @param id the id that the till gave it
     * @param listener hears what happens
     * @return a new session
     * @throws IllegalArgumentException if the id cannot be used
     */
    public static PaymentSession resume(LaneClient client, String id, Listener listener) {
        return new PaymentSession(client, id, null, listener);
    }

    /**
     * How long {@link #run} tries to begin while the service does not answer, or answers that it may be asked again
     * ({@code lane_busy} and the like). 30 s unless said. The last try may take as long as {@link LaneClient#begin} may.
     *
     * @param ms milliseconds, 0 for a single try
     * @return this
     */
    public PaymentSession beginWithinMs(long ms) {
        beginWithinMs = ms;
        return this;
    }

    /**
     * How long {@link #run} goes on without any answer of the service once the payment may have begun. 120 s unless said.
     *
     * @param ms milliseconds
     * @return this
     */
    public PaymentSession silenceMs(long ms) {
        silenceMs = ms;
        return this;
    }

    /**
     * How long {@link #run} follows a payment at most, whatever the service answers. 1 h unless said, which is longer than
     * any invoice.
     *
     * @param ms milliseconds
     * @return this
     */
    public PaymentSession longestMs(long ms) {
        longestMs = ms;
        return this;
    }

    /**
     * Take the payment to its outcome. Ends by itself: the service gives each payment an outcome, and without its answers
     * this ends after {@link #beginWithinMs}, {@link #silenceMs} or {@link #longestMs}.
     *
     * @return the payment with its outcome
     * @throws LaneProblem the service refused to begin, and the code says why: nothing was begun. After {@link #resume}:
     *     {@code no_such_payment}, it was never begun; {@code payment_archived}, it was begun, and its outcome is in an
     *     archive of the journal
     * @throws LaneUnreachable no answer for too long, or cancelled before the payment was begun. If
     *     {@link LaneUnreachable#mayHaveArrived} is false, this session has begun nothing. If it is true <em>the outcome is
     *     unknown</em>: not paid and not unpaid. Keep the id, call an attendant, and {@link #resume} when the service
     *     answers again
     * @throws InterruptedException the thread was interrupted: as with an unknown outcome
     * @throws IllegalStateException if it was called before
     */
    public Payment run() throws LaneProblem, LaneUnreachable, InterruptedException {
        if (!started.compareAndSet(false, true)) {
            throw new IllegalStateException("a session runs once: make another one to resume payment " + id);
        }
        Payment payment = firstAnswer();
        show(payment);
        return outcome(payment);
    }

    /**
     * The customer or the attendant wants to cancel. Returns at once; the outcome of {@link #run} tells whether it was
     * cancelled in time. Before the payment has begun, this keeps the session from beginning it if it still can.
     */
    public void cancel() {
        cancelWanted = true;
        wakeup.signal();
    }

    /**
     * The customer pressed a button of the dialog, which is offered while {@link Payment#isAsking}. Returns at once.
     *
     * @param choice the button
     */
    public void choose(Choice choice) {
        choiceMade.set(choice);
        wakeup.signal();
    }

    /**
     * Tell the service that the till has taken the outcome, and repeat it until it answers.
     *
     * @param withinMs how long to try, milliseconds
     * @return the payment as it is now: give the goods only if {@link Payment#mayReleaseGoods} still says so
     * @throws LaneProblem it has no outcome yet
     * @throws LaneUnreachable no answer in time: keep the goods and repeat it, also after a restart of the till
     *     ({@link #resume})
     * @throws InterruptedException the thread was interrupted: repeat it later
     */
    public Payment taken(long withinMs) throws LaneProblem, LaneUnreachable, InterruptedException {
        return repeat(withinMs, () -> client.taken(id));
    }

    /**
     * Tell the service that the till could not store the paid outcome, or has voided its receipt since, and repeat it until
     * it answers. The money becomes a case.
     *
     * @param reason why, for the operator: 1 to 300 characters
     * @param withinMs how long to try, milliseconds
     * @return the payment with its case
     * @throws LaneProblem it is not paid
     * @throws LaneUnreachable no answer in time: repeat it later
     * @throws InterruptedException the thread was interrupted: repeat it later
     */
    public Payment notAccepted(String reason, long withinMs) throws LaneProblem, LaneUnreachable, InterruptedException {
        return repeat(withinMs, () -> client.notAccepted(id, reason));
    }

    // --- the run ------------------------------------------------------------------------------------------------

    private Payment firstAnswer() throws LaneProblem, LaneUnreachable, InterruptedException {
        long start = System.nanoTime();
        boolean mayExist = order == null;
        LaneException failure = new LaneUnreachable("payment " + id + " was cancelled before it was begun", false, null);
        while (true) {
            wakeup.clear();
            if (cancelWanted && !mayExist) {
                throw raised(failure);
            }
            try {
                Payment payment = order == null ? found() : client.begin(id, order);
                answered();
                return payment;
            } catch (LaneProblem problem) {
                answered();
                if (isLastWord(problem, mayExist)) {
                    throw problem;
                }
                failure = problem;
            } catch (LaneUnreachable unreachable) {
                mayExist |= unreachable.mayHaveArrived();
                lost(unreachable);
                failure = unreachable;
            }
            if (msSince(start) >= (mayExist ? Math.max(beginWithinMs, silenceMs) : beginWithinMs)) {
                throw mayExist ? unknown(failure) : raised(failure);
            }
            pause();
        }
    }

    /** The payment. "No such payment" counts only where the service is not about to begin it. */
    private Payment found() throws LaneProblem, LaneUnreachable, InterruptedException {
        try {
            return client.payment(id);
        } catch (LaneProblem unknown) {
            if (!NO_SUCH_PAYMENT.equals(unknown.getCode())) {
                throw unknown;
            }
        }
        if (id.equals(client.lane().getPayment())) {
            throw new LaneProblem("not_begun_yet", HttpURLConnection.HTTP_CONFLICT, true,
                    "the lane is about to begin the payment: ask again", "касса ещё не начала этот платёж", null, null);
        }
        return client.payment(id); // it may have begun, and ended, between the two answers
    }

    /** Whether after this refusal there is no payment of this id. */
    private boolean isLastWord(LaneProblem problem, boolean mayExist) {
        if (order == null) {
            return NO_SUCH_PAYMENT.equals(problem.getCode()) || problem.getStatus() == HttpURLConnection.HTTP_GONE;
        }
        // what is wrong with the order was wrong with the same request before; a token was perhaps replaced since
        return !problem.isRetry() && !(isAboutToken(problem) && mayExist);
    }

    private static boolean isAboutToken(LaneProblem problem) {
        return problem.getStatus() == HttpURLConnection.HTTP_UNAUTHORIZED
                || problem.getStatus() == HttpURLConnection.HTTP_FORBIDDEN;
    }

    private Payment outcome(Payment begun) throws LaneUnreachable, InterruptedException {
        Payment payment = begun;
        boolean isNews = true;
        long after = 0;
        long start = System.nanoTime();
        long answeredAt = start;
        while (true) {
            if (isNews) {
                isNews = false;
                show(payment);
            }
            if (payment.getOutcome() != null) {
                return payment;
            }
            wakeup.clear();
            LaneException failure = null;
            try {
                sendWishes();
                EventPage page = events(after);
                after = page.getNextAfter();
                page.getEvents().forEach(this::hear);
                isNews = !page.getEvents().isEmpty();
                String phase = payment.getPhase();
                payment = client.payment(id);
                isNews |= !phase.equals(payment.getPhase());
                answered();
                answeredAt = System.nanoTime();
            } catch (Exchange.Woken woken) {
                continue; // to send what the customer wishes
            } catch (LaneProblem problem) { // a service without its journal does not know the payment: nothing is known
                failure = problem;
                lost(new LaneUnreachable(problem.getMessage(), true, problem));
            } catch (LaneUnreachable unreachable) {
                failure = unreachable;
                lost(unreachable);
            }
            boolean isSilent = failure != null && msSince(answeredAt) >= silenceMs;
            if (isSilent || payment.isRunning() && msSince(start) >= longestMs) {
                throw unknown(failure);
            }
            if (failure != null) {
                pause();
            }
        }
    }

    private EventPage events(long after) throws LaneProblem, LaneUnreachable, InterruptedException, Exchange.Woken {
        try {
            return client.paymentEvents(id, after, POLL_S, wakeup);
        } catch (LaneProblem problem) {
            if (problem.getFirstSeq() == null) {
                throw problem;
            }
            return client.paymentEvents(id, problem.getFirstSeq() - 1, POLL_S, wakeup);
        }
    }

    private void sendWishes() throws LaneUnreachable, InterruptedException {
        Choice choice = choiceMade.getAndSet(null);
        if (choice != null) {
            try {
                client.choose(id, choice);
            } catch (LaneProblem refused) {
                LOG.log(Level.INFO, "payment {0}: {1}", new Object[] {id, refused.getMessage()});
                if (refused.isRetry() || isAboutToken(refused)) { // otherwise the dialog is gone
                    choiceMade.compareAndSet(null, choice);
                }
            } catch (LaneUnreachable unreachable) {
                choiceMade.compareAndSet(null, choice);
                throw unreachable;
            }
        }
        if (cancelWanted) {
            try {
                client.cancel(id);
                cancelWanted = false;
            } catch (LaneProblem refused) { // asked again
                LOG.log(Level.WARNING, "payment {0}: {1}", new Object[] {id, refused.getMessage()});
            }
        }
    }

    private static LaneUnreachable raised(LaneException failure) throws LaneProblem {
        if (failure instanceof LaneProblem) {
            throw (LaneProblem) failure;
        }
        return (LaneUnreachable) failure;
    }

    private LaneUnreachable unknown(LaneException last) {
        String why = last == null ? "no outcome came in time" : last.getMessage();
        return new LaneUnreachable("the outcome of payment " + id + " is unknown: " + why, true, last);
    }

    private Payment repeat(long withinMs, Request request) throws LaneProblem, LaneUnreachable, InterruptedException {
        long start = System.nanoTime();
        pauseMs = FIRST_PAUSE_MS;
        while (true) {
            wakeup.clear();
            try {
                return request.send();
            } catch (LaneProblem problem) {
                if (!problem.isRetry() || msSince(start) >= withinMs) {
                    throw problem;
                }
            } catch (LaneUnreachable unreachable) {
                if (msSince(start) >= withinMs) {
                    throw unreachable;
                }
            }
            pause();
        }
    }

    private interface Request {
        Payment send() throws LaneProblem, LaneUnreachable, InterruptedException;
    }

    /** Between two tries: longer each time, until an answer comes or the customer wishes something. */
    private void pause() throws InterruptedException {
        wakeup.pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }

    private static long msSince(long nanoTime) {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanoTime);
    }

    // --- the listener: no fault of its own stops a payment --------------------------------------------------------

    private void hear(LaneEvent event) {
        if ("link_accepted".equals(event.getType())) {
            link = event.getText("link");
        }
        safely(() -> listener.event(event));
    }

    private void show(Payment payment) {
        safely(() -> listener.changed(payment, link));
    }

    private void answered() {
        pauseMs = FIRST_PAUSE_MS;
        if (lost) {
            lost = false;
            safely(listener::connectionRestored);
        }
    }

    private void lost(LaneUnreachable why) {
        if (!lost) {
            lost = true;
            safely(() -> listener.connectionLost(why));
        }
    }

    private void safely(Runnable call) {
        try {
            call.run();
        } catch (RuntimeException e) {
            LOG.log(Level.SEVERE, "payment " + id + ": the listener failed", e);
        }
    }
}
