package io.github.scopaymaster.till;

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
 *     session.taken(10_000);
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
         * An event of the payment. After {@link PaymentSession#resume} they come from its beginning.
         *
         * @param event the event
         */
        default void event(LaneEvent event) {
        }

        /**
         * The service does not answer. The session goes on asking. Called once, until it answers again.
         *
         * @param why the first failure
         */
        default void connectionLost(LaneUnreachable why) {
        }

        /** The service answers again. */
        default void connectionRestored() {
        }
    }

    private PaymentSession() {
    }

    /**
     * A session that begins a payment. Nothing is sent before {@link #run}.
     *
     * @param client the lane
     * @param id the till's id of the payment: 1 to 64 of letters, digits, {@code . _ -}
     * @param order what it is for
     * @param listener hears what happens
     * @return a new session
     * @throws IllegalArgumentException if the id cannot be used
     */
    public static PaymentSession begin(LaneClient client, String id, Order order, Listener listener) {
        throw new UnsupportedOperationException();
    }

    /**
     * A session that finds a payment again after a restart of the till. It begins none.
     *
     * @param client the lane
     * @param id the id that the till gave it
     * @param listener hears what happens
     * @return a new session
     * @throws IllegalArgumentException if the id cannot be used
     */
    public static PaymentSession resume(LaneClient client, String id, Listener listener) {
        throw new UnsupportedOperationException();
    }

    /**
     * How long {@link #run} tries to begin while the service does not answer, or answers that it may be asked again
     * ({@code lane_busy} and the like). 15 s unless said.
     *
     * @param ms milliseconds, 0 for a single try
     * @return this
     */
    public PaymentSession beginWithinMs(long ms) {
        throw new UnsupportedOperationException();
    }

    /**
     * How long {@link #run} goes on without any answer of the service once the payment may have begun. 120 s unless said.
     *
     * @param ms milliseconds
     * @return this
     */
    public PaymentSession silenceMs(long ms) {
        throw new UnsupportedOperationException();
    }

    /**
     * Take the payment to its outcome. Ends by itself: the service gives each payment an outcome, and without its answers
     * this ends after {@link #beginWithinMs} or {@link #silenceMs}.
     *
     * @return the payment with its outcome
     * @throws LaneProblem the service refused to begin, or knows no such payment ({@code no_such_payment} after
     *     {@link #resume}): there is no payment of this id, and the customer may pay in another way
     * @throws LaneUnreachable no answer for too long. If {@link LaneUnreachable#mayHaveArrived} is false, nothing was
     *     begun. If it is true <em>the outcome is unknown</em>: not paid and not unpaid. Keep the id, call an attendant,
     *     and {@link #resume} when the service answers again
     * @throws InterruptedException the thread was interrupted: as with an unknown outcome
     * @throws IllegalStateException if it was called before
     */
    public Payment run() throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * The customer or the attendant wants to cancel. Returns at once; the outcome of {@link #run} tells whether it was
     * cancelled in time. Before the payment has begun, this keeps the session from beginning it if it still can.
     */
    public void cancel() {
        throw new UnsupportedOperationException();
    }

    /**
     * The customer pressed a button of the dialog, which is offered while {@link Payment#isAsking}. Returns at once.
     *
     * @param choice the button
     */
    public void choose(Choice choice) {
        throw new UnsupportedOperationException();
    }

    /**
     * Tell the service that the till has taken the outcome, and repeat it until it answers.
     *
     * @param withinMs how long to try, milliseconds
     * @return the payment
     * @throws LaneProblem it has no outcome yet
     * @throws LaneUnreachable no answer in time: repeat it later, also after a restart of the till ({@link #resume})
     * @throws InterruptedException the thread was interrupted: repeat it later
     */
    public Payment taken(long withinMs) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * Tell the service that the till could not store the paid outcome, and repeat it until it answers. The money becomes a
     * case.
     *
     * @param reason why, for the operator: 1 to 300 characters
     * @param withinMs how long to try, milliseconds
     * @return the payment with its case
     * @throws LaneProblem it is not paid, or already taken
     * @throws LaneUnreachable no answer in time: repeat it later
     * @throws InterruptedException the thread was interrupted: repeat it later
     */
    public Payment notAccepted(String reason, long withinMs) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }
}
