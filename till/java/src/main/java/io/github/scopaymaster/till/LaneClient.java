package io.github.scopaymaster.till;

import java.nio.file.Path;
import java.util.List;

/**
 * The lane's service: one method, one request, one answer.
 *
 * <p>Every method returns or throws within the connect time-out and the read time-out together, plus what it was asked to
 * wait for news; an interrupt of the calling thread ends it at once. No thread and no connection outlives a call. Nothing is
 * sent twice: a caller that gets {@link LaneUnreachable} decides, and asking again is always harmless. Safe for use by
 * several threads.
 *
 * <p>To take a payment use {@link PaymentSession}, which repeats what must be repeated.
 */
public final class LaneClient {
    /** The longest that the service waits for news, in seconds. */
    public static final int MAX_WAIT_S = 25;

    /** Makes a {@link LaneClient}. */
    public static final class Builder {
        final String url;
        Path tokenFile;
        int connectTimeoutMs = 1_000;
        int readTimeoutMs = 5_000;

        Builder(String url) {
            this.url = url;
        }

        /**
         * Send the token in this file with each request. The file is read at the first request, and once more when the
         * service refuses the token: a replaced token needs no restart of the till.
         *
         * @param file holds the token and nothing else but white space
         * @return this
         */
        public Builder tokenFile(Path file) {
            tokenFile = file;
            return this;
        }

        /**
         * How long a connection may take. 1 s unless said.
         *
         * @param ms milliseconds, more than 0
         * @return this
         */
        public Builder connectTimeoutMs(int ms) {
            connectTimeoutMs = ms;
            return this;
        }

        /**
         * How long the whole answer may take, from the connection to its last octet. 5 s unless said. What a request
         * waits for news is added to it.
         *
         * @param ms milliseconds, more than 0
         * @return this
         */
        public Builder readTimeoutMs(int ms) {
            readTimeoutMs = ms;
            return this;
        }

        /**
         * The client. Nothing is sent yet.
         *
         * @return a new client
         * @throws IllegalArgumentException if the URL or a time-out cannot be used
         */
        public LaneClient build() {
            return new LaneClient(this);
        }
    }

    /**
     * A client of the service at an address.
     *
     * @param url such as {@code http://127.0.0.1:8723}; {@code https} where the service has a certificate
     * @return its builder
     */
    public static Builder at(String url) {
        return new Builder(url);
    }

    private LaneClient(Builder builder) {
    }

    // --- payments -----------------------------------------------------------------------------------------------

    /**
     * Begin a payment. When this returns, the service has it on disk. The same id with the same order again is the same
     * payment; its present state is returned.
     *
     * @param id 1 to 64 of letters, digits, {@code . _ -}; never to be used for another payment
     * @param order what it is for
     * @return the payment
     * @throws LaneProblem nothing was begun: {@code lane_busy}, {@code order_paid}, {@code order_open},
     *     {@code order_refused}, {@code id_conflict}, ...
     * @throws LaneUnreachable no usable answer; it may have begun if {@link LaneUnreachable#mayHaveArrived}
     * @throws InterruptedException the thread was interrupted; it may have begun
     */
    public Payment begin(String id, Order order) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * A payment as it is now.
     *
     * @param id the till's id
     * @return the payment
     * @throws LaneProblem {@code no_such_payment}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment payment(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * All payments of an order.
     *
     * @param order the order's number
     * @return oldest first; empty if there is none
     * @throws LaneProblem the service refused
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public List<Payment> paymentsOfOrder(String order) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * The customer or the attendant wants to cancel. The outcome tells whether it was cancelled in time. At most one
     * cancellation is sent to the acquirer however often this is called.
     *
     * @param id the till's id
     * @return the payment as it is now; still running where the cancellation is on its way
     * @throws LaneProblem {@code no_such_payment}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment cancel(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * The customer pressed a button of the dialog.
     *
     * @param id the till's id
     * @param choice the button
     * @throws LaneProblem {@code not_offered}: the dialog is not shown now
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public void choose(String id, Choice choice) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * The till has taken the outcome: it stored it, and the goods go their way. Without this word the service opens a
     * case about a paid payment when it restarts. Repeating it changes nothing.
     *
     * @param id the till's id
     * @return the payment
     * @throws LaneProblem {@code no_outcome_yet}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment taken(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * The till could not store a paid outcome: the money becomes a case, and the customer is sent to the attendant.
     *
     * @param id the till's id
     * @param reason why, for the operator: 1 to 300 characters
     * @return the payment with its case
     * @throws LaneProblem it is not paid, or already taken
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment notAccepted(String id, String reason) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * Print the code of a running payment again (display mode 0).
     *
     * @param id the till's id
     * @throws LaneProblem {@code not_printable}, {@code printer_unavailable}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public void printAgain(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    // --- events, screen, lane -----------------------------------------------------------------------------------

    /**
     * Events of one payment. {@code after} 0 reads them from its beginning.
     *
     * @param id the till's id
     * @param after the cursor: 0, or {@link EventPage#getNextAfter}
     * @param waitS how long to wait for the first one, 0 to {@link #MAX_WAIT_S} seconds
     * @return at most some hundred events; empty if none came in time
     * @throws LaneProblem {@code no_such_payment}, {@code events_archived}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public EventPage paymentEvents(String id, long after, int waitS)
            throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * Events of the lane. {@link EventFollower} keeps the cursor.
     *
     * @param after the cursor: 0, or {@link EventPage#getNextAfter}
     * @param waitS how long to wait for the first one, 0 to {@link #MAX_WAIT_S} seconds
     * @return at most some hundred events; empty if none came in time
     * @throws LaneProblem {@code events_archived}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public EventPage events(long after, int waitS) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * What the lane's screen shows.
     *
     * @param after wait until the version is another one than this; -1 for the present state
     * @param waitS how long to wait for it, 0 to {@link #MAX_WAIT_S} seconds
     * @return the state, the same one if nothing changed in time
     * @throws LaneProblem the service refused
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public ScreenState screen(long after, int waitS) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * How the lane is.
     *
     * @return its status
     * @throws LaneProblem the service refused
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public LaneStatus lane() throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }

    /**
     * Print lines on the lane's receipt printer.
     *
     * @param lines the text
     * @param cut whether to cut the paper after them
     * @throws LaneProblem {@code printer_unavailable}
     * @throws LaneUnreachable no usable answer; they may have been printed
     * @throws InterruptedException the thread was interrupted; they may have been printed
     */
    public void printReceipt(List<String> lines, boolean cut) throws LaneProblem, LaneUnreachable, InterruptedException {
        throw new UnsupportedOperationException();
    }
}
