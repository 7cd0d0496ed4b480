package io.github.scopaymaster.till;

import java.io.IOException;
import java.io.UnsupportedEncodingException;
import java.net.HttpURLConnection;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * The lane's service: one method, one request, one answer.
 *
 * <p>Every method returns or throws within the connect time-out and the read time-out together, plus what it was asked to
 * wait for news; {@link #begin} has a time-out of its own, and printing may take 30 s more. After the status 401 the
 * token is read again and the request sent once more, which may take as long again. An interrupt of the calling thread ends
 * it at once. No thread and no connection outlives a call that was answered; one that was not answered is closed, and its thread
 * ends with it, at the latest after the same time once more. Nothing else is sent twice: 401 means that this request did
 * nothing. A caller that gets {@link LaneUnreachable} decides, and asking again is always harmless. Redirects are not
 * followed, and no proxy is used. Safe for use by several threads.
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
        int beginTimeoutMs = 25_000;

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
         * The same for {@link LaneClient#begin}, before whose answer the service may have to settle an earlier attempt of
         * the order: that takes up to 60 s. 25 s unless said; after a time-out ask again with the same id, as
         * {@link PaymentSession} does.
         *
         * @param ms milliseconds, more than 0
         * @return this
         */
        public Builder beginTimeoutMs(int ms) {
            beginTimeoutMs = ms;
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

    /** A printer without paper is waited for. */
    private static final int PRINT_MS = 30_000;
    private static final Map<String, Object> NOTHING = Collections.emptyMap();
    private static final Set<String> REFUSALS_BEFORE_ANYTHING =
            new HashSet<>(Arrays.asList("lane_stopping", "printer_unavailable"));
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern TOKEN = Pattern.compile("[!-~]{1,4096}");

    private final URL url;
    private final Path tokenFile;
    private final int connectTimeoutMs;
    private final int readTimeoutMs;
    private final int beginTimeoutMs;
    private volatile String token;

    private LaneClient(Builder builder) {
        try {
            url = new URL(builder.url);
        } catch (MalformedURLException e) {
            throw new IllegalArgumentException("not a URL: '" + builder.url + "'");
        }
        boolean isHttp = "http".equals(url.getProtocol()) || "https".equals(url.getProtocol());
        if (!isHttp || url.getHost().isEmpty() || url.getUserInfo() != null || url.getQuery() != null
                || url.getRef() != null || !(url.getPath().isEmpty() || "/".equals(url.getPath()))) {
            throw new IllegalArgumentException("expected a URL like http://127.0.0.1:8723, found '" + builder.url + "'");
        }
        if (builder.connectTimeoutMs <= 0 || builder.readTimeoutMs <= 0 || builder.beginTimeoutMs <= 0) {
            throw new IllegalArgumentException("time-outs must be more than 0 ms");
        }
        tokenFile = builder.tokenFile;
        connectTimeoutMs = builder.connectTimeoutMs;
        readTimeoutMs = builder.readTimeoutMs;
        beginTimeoutMs = builder.beginTimeoutMs;
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
        return call("PUT", payments(id, ""), order.toJson(), beginTimeoutMs - readTimeoutMs, json -> about(id, new Payment(json)));
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
        return call("GET", payments(id, ""), null, 0, json -> about(id, new Payment(json)));
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
        return call("GET", "/v1/payments?order=" + query(order), null, 0, json -> {
            List<Payment> found = new ArrayList<>();
            for (JsonObject payment : json.objects("payments")) {
                found.add(new Payment(payment));
            }
            return Collections.unmodifiableList(found);
        });
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
        return call("POST", payments(id, "/cancel"), NOTHING, 0, json -> about(id, new Payment(json)));
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
        call("POST", payments(id, "/choice"), Collections.singletonMap("button", choice.getWord()), 0,
                json -> json.flag("accepted"));
    }

    /**
     * The till has taken the outcome: it has stored it, and answers for the goods from now on. Without this word the
     * service opens a case about a paid payment when it restarts, and after its setting {@code service.taken_within_s}.
     * Repeating it changes nothing.
     *
     * @param id the till's id
     * @return the payment as it is now: give the goods only if {@link Payment#mayReleaseGoods} still says so
     * @throws LaneProblem {@code no_outcome_yet}
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment taken(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        return call("POST", payments(id, "/taken"), NOTHING, 0, json -> about(id, new Payment(json)));
    }

    /**
     * The till could not store a paid outcome, or has voided its receipt since: the money becomes a case, and the customer
     * is sent to the attendant.
     *
     * @param id the till's id
     * @param reason why, for the operator: 1 to 300 characters
     * @return the payment with its case
     * @throws LaneProblem it is not paid
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public Payment notAccepted(String id, String reason) throws LaneProblem, LaneUnreachable, InterruptedException {
        return call("POST", payments(id, "/not_accepted"), Collections.singletonMap("reason", reason), 0,
                json -> about(id, new Payment(json)));
    }

    /**
     * Print the code of a running payment again (display mode 0).
     *
     * @param id the till's id
     * @return true if it came out, false if that is not known
     * @throws LaneProblem {@code not_printable}, {@code printer_unavailable}
     * @throws LaneUnreachable no usable answer; it may have been printed
     * @throws InterruptedException the thread was interrupted; it may have been printed
     */
    public boolean printAgain(String id) throws LaneProblem, LaneUnreachable, InterruptedException {
        return call("POST", payments(id, "/print_again"), NOTHING, PRINT_MS, LaneClient::isPrinted);
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
        return call("GET", payments(id, eventsAfter(after, waitS)), null, waitS * 1_000, EventPage::new);
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
        return call("GET", "/v1" + eventsAfter(after, waitS), null, waitS * 1_000, EventPage::new);
    }

    /**
     * What the lane's screen shows.
     *
     * @param after wait until the version is another one than this; 0 for the present state
     * @param waitS how long to wait for it, 0 to {@link #MAX_WAIT_S} seconds
     * @return the state, the same one if nothing changed in time
     * @throws LaneProblem the service refused
     * @throws LaneUnreachable no usable answer
     * @throws InterruptedException the thread was interrupted
     */
    public ScreenState screen(long after, int waitS) throws LaneProblem, LaneUnreachable, InterruptedException {
        return call("GET", "/v1/screen?after=" + after + "&wait_s=" + wait(waitS), null, waitS * 1_000, ScreenState::new);
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
        return call("GET", "/v1/lane", null, 0, LaneStatus::new);
    }

    /**
     * Print a document of the till's own on the lane's receipt printer. A document that came out, or may have, is not
     * printed again under the same id.
     *
     * @param id the document's id: 1 to 64 of letters, digits, {@code . _ -}
     * @param lines the text
     * @param cut whether to cut the paper after them
     * @return true if it came out, false if that is not known
     * @throws LaneProblem {@code printed_before}: a document of this id came out, or may have; {@code printer_unavailable}
     * @throws LaneUnreachable no usable answer; they may have been printed
     * @throws InterruptedException the thread was interrupted; they may have been printed
     */
    public boolean printReceipt(String id, List<String> lines, boolean cut)
            throws LaneProblem, LaneUnreachable, InterruptedException {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("id", checkId(id));
        body.put("lines", new ArrayList<>(lines));
        body.put("cut", cut);
        return call("POST", "/v1/receipts", body, PRINT_MS, LaneClient::isPrinted);
    }

    // --- requests -----------------------------------------------------------------------------------------------

    /** Makes of an answer's object what a method returns; throws {@link JsonException} if it is not that. */
    private interface Reader<T> {
        T read(JsonObject json);
    }

    /** As {@link #paymentEvents}, ended early by the wakeup. */
    EventPage paymentEvents(String id, long after, int waitS, Exchange.Wakeup wakeup)
            throws LaneProblem, LaneUnreachable, InterruptedException, Exchange.Woken {
        return call("GET", payments(id, eventsAfter(after, waitS)), null, waitS * 1_000, EventPage::new, wakeup);
    }

    private <T> T call(String method, String path, Map<String, ?> body, int extraMs, Reader<T> reader)
            throws LaneProblem, LaneUnreachable, InterruptedException {
        try {
            return call(method, path, body, extraMs, reader, new Exchange.Wakeup());
        } catch (Exchange.Woken e) {
            throw new AssertionError(e);
        }
    }

    private <T> T call(
            String method, String path, Map<String, ?> body, int extraMs, Reader<T> reader, Exchange.Wakeup wakeup)
            throws LaneProblem, LaneUnreachable, InterruptedException, Exchange.Woken {
        URL to = address(path);
        byte[] octets = body == null ? null : Json.write(body).getBytes(StandardCharsets.US_ASCII);
        String used = token;
        if (used == null && tokenFile != null) {
            used = readToken();
        }
        Exchange.Answer answer =
                new Exchange(to, method, used, octets, connectTimeoutMs, readTimeoutMs + extraMs, wakeup).send();
        if (answer.status == HttpURLConnection.HTTP_UNAUTHORIZED && tokenFile != null) {
            String fresh = readToken();
            answer = new Exchange(to, method, fresh, octets, connectTimeoutMs, readTimeoutMs + extraMs, wakeup).send();
        }
        String what = method + " " + to + ": ";
        try {
            if (answer.status >= 200 && answer.status < 300) {
                return reader.read(JsonObject.of(json(answer, "application/json")));
            }
            throw problem(answer);
        } catch (JsonException e) {
            String detail = "status " + answer.status + ", which leaves open whether it was done: " + e.getMessage();
            throw new LaneUnreachable(what + detail, true, e);
        }
    }

    private URL address(String path) {
        try {
            return new URL(url.getProtocol(), url.getHost(), url.getPort(), path);
        } catch (MalformedURLException e) {
            throw new AssertionError(e);
        }
    }

    private static Object json(Exchange.Answer answer, String type) {
        String found = answer.contentType.split(";", 2)[0].trim();
        if (!found.equalsIgnoreCase(type)) {
            throw new JsonException("expected " + type + ", found '" + found + "'");
        }
        return Json.read(answer.body);
    }

    /** A refusal of the service. After any other status the request may have been acted on. */
    private static LaneProblem problem(Exchange.Answer answer) {
        if (answer.status == HttpURLConnection.HTTP_UNAUTHORIZED) {
            return new LaneProblem("unauthorized", answer.status, false, "the service does not know this token",
                    "служба кассы не знает этого ключа", null, null);
        }
        JsonObject json = JsonObject.of(json(answer, "application/problem+json"));
        String code = json.text("code");
        String detail = json.text("detail");
        if (answer.status != json.integer("status") || answer.status < 400
                || !json.flagOr("nothing_done", isRefusal(answer.status, code))) {
            throw new JsonException(code + ": " + detail);
        }
        String detailRu = json.textOrNull("detail_ru");
        return new LaneProblem(code, answer.status, json.flagOr("retry", false), detail,
                detailRu == null ? detail : detailRu, json.textOrNull("field"), json.integerOrNull("first_seq"));
    }

    /** Whether an answer that does not say {@code nothing_done} means that the request did nothing. */
    private static boolean isRefusal(int status, String code) {
        return status < 500
                || status == HttpURLConnection.HTTP_UNAVAILABLE && REFUSALS_BEFORE_ANYTHING.contains(code);
    }

    /** An answer about another payment, such as one that a faulty proxy kept from an earlier request. */
    private static Payment about(String id, Payment payment) {
        if (!id.equals(payment.getId())) {
            throw new JsonException("the answer is about payment '" + payment.getId() + "'");
        }
        return payment;
    }

    private static boolean isPrinted(JsonObject json) {
        return "printed".equals(json.text("outcome"));
    }

    private String readToken() throws LaneUnreachable {
        String found;
        try {
            found = new String(Files.readAllBytes(tokenFile), StandardCharsets.US_ASCII).trim();
        } catch (IOException e) {
            throw new LaneUnreachable("the token file " + tokenFile + " cannot be read: " + e, false, e);
        }
        if (!TOKEN.matcher(found).matches()) {
            throw new LaneUnreachable("the token file " + tokenFile + " must hold one token of printable ASCII", false, null);
        }
        token = found;
        return found;
    }

    private static String payments(String id, String rest) {
        return "/v1/payments/" + checkId(id) + rest;
    }

    private static String eventsAfter(long after, int waitS) {
        return "/events?after=" + after + "&wait_s=" + wait(waitS);
    }

    private static int wait(int waitS) {
        if (waitS < 0 || waitS > MAX_WAIT_S) {
            throw new IllegalArgumentException("waitS must be 0 to " + MAX_WAIT_S + ", found " + waitS);
        }
        return waitS;
    }

    static String checkId(String id) {
        if (!ID.matcher(id).matches() || ".".equals(id) || "..".equals(id)) {
            throw new IllegalArgumentException("an id is 1 to 64 of A-Z a-z 0-9 . _ -, found '" + id + "'");
        }
        return id;
    }

    private static String query(String text) {
        try {
            return URLEncoder.encode(text, "UTF-8");
        } catch (UnsupportedEncodingException e) {
            throw new AssertionError(e);
        }
    }
}
