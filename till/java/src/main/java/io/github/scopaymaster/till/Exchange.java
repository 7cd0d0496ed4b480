package io.github.scopaymaster.till;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpRetryException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.util.concurrent.TimeUnit;

/**
 * One request on a connection of its own, and its answer.
 *
 * <p>{@link HttpURLConnection} bounds each read but not the whole answer, and an interrupt does not end a read. So it works
 * in a thread of its own, and the caller waits for that: with a deadline, and interruptibly.
 *
 * <p>It must not repeat a request on its own either. It does so when a connection ends before its answer begins, unless the
 * body is streamed with a fixed length: so every body is. A request without a body only reads, and repeating it changes
 * nothing. {@code Connection: close} keeps idle connections from being used again at the moment when the service closes
 * them.
 */
final class Exchange implements Runnable {
    /** The longest answer read. A page of 200 events has some 100 KB. */
    static final int MAX_ANSWER_OCTETS = 4 << 20;

    /** What came back. */
    static final class Answer {
        final int status;
        final String contentType;
        final byte[] body;

        Answer(int status, String contentType, byte[] body) {
            this.status = status;
            this.contentType = contentType == null ? "" : contentType;
            this.body = body;
        }
    }

    /** Ends the wait for an answer from another thread. Stays signalled until {@link #clear}. */
    static final class Wakeup {
        private boolean signalled;

        synchronized void signal() {
            signalled = true;
            notifyAll();
        }

        synchronized void clear() {
            signalled = false;
        }

        /** Waits until signalled, at most so long. */
        synchronized void pause(long ms) throws InterruptedException {
            long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(ms);
            for (long left = ms; left > 0 && !signalled; left = millisUntil(end)) {
                wait(left);
            }
        }
    }

    /** The caller was woken before there was an answer. */
    static final class Woken extends Exception {
        private static final long serialVersionUID = 1L;

        Woken() {
            super("woken", null, false, false);
        }
    }

    private final URL url;
    private final String method;
    private final String token;
    private final byte[] body;
    private final int connectTimeoutMs;
    private final int answerTimeoutMs;
    /** Guards the fields after it, and is notified when they change. */
    private final Wakeup monitor;

    private HttpURLConnection connection;
    private boolean sent;
    private boolean abandoned;
    private Answer answer;
    private IOException failure;

    /** A request that is not sent yet; body and token may be null. */
    Exchange(
            URL url, String method, String token, byte[] body, int connectTimeoutMs, int answerTimeoutMs, Wakeup wakeup) {
        this.url = url;
        this.method = method;
        this.token = token;
        this.body = body;
        this.connectTimeoutMs = connectTimeoutMs;
        this.answerTimeoutMs = answerTimeoutMs;
        this.monitor = wakeup;
    }

    /** Send it and wait for the answer. */
    Answer send() throws LaneUnreachable, InterruptedException, Woken {
        Thread thread = new Thread(this, "sco-till-request");
        thread.setDaemon(true);
        thread.start();
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos((long) connectTimeoutMs + answerTimeoutMs);
        boolean ended = false;
        try {
            synchronized (monitor) {
                long left = millisUntil(end);
                while (answer == null && failure == null && !monitor.signalled && left > 0) {
                    monitor.wait(left);
                    left = millisUntil(end);
                }
                ended = answer != null || failure != null;
                if (answer != null) {
                    return answer;
                }
                if (monitor.signalled && failure == null) {
                    throw new Woken();
                }
                String what = method + " " + url + ": ";
                if (failure != null) {
                    throw new LaneUnreachable(what + reason(failure), sent, failure);
                }
                throw new LaneUnreachable(what + "no whole answer within " + answerTimeoutMs + " ms", sent, null);
            }
        } finally {
            if (!ended) {
                abandon();
            }
            joinAtMost(thread, 100);
        }
    }

    /** Make the thread end. Before the answer begins that is at once; within it, at the latest with the read time-out. */
    private void abandon() {
        synchronized (monitor) {
            abandoned = true;
            if (connection != null) {
                connection.disconnect();
            }
        }
    }

    private static void joinAtMost(Thread thread, long ms) {
        try {
            thread.join(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void run() {
        Answer found = null;
        IOException failed = null;
        try {
            found = exchange();
        } catch (IOException e) {
            failed = e;
        } catch (RuntimeException e) {
            failed = new IOException(e.toString(), e);
        }
        synchronized (monitor) {
            answer = found;
            failure = failed;
            monitor.notifyAll();
        }
    }

    private Answer exchange() throws IOException {
        HttpURLConnection http = (HttpURLConnection) url.openConnection(Proxy.NO_PROXY);
        try {
            http.setConnectTimeout(connectTimeoutMs);
            http.setReadTimeout(answerTimeoutMs);
            http.setInstanceFollowRedirects(false);
            http.setUseCaches(false);
            http.setRequestMethod(method);
            http.setRequestProperty("Accept", "application/json, application/problem+json");
            http.setRequestProperty("Connection", "close");
            http.setRequestProperty("User-Agent", "sco-till-java");
            if (token != null) {
                http.setRequestProperty("Authorization", "Bearer " + token);
            }
            if (body != null) {
                http.setDoOutput(true);
                http.setFixedLengthStreamingMode(body.length);
                http.setRequestProperty("Content-Type", "application/json");
            }
            http.connect();
            synchronized (monitor) {
                checkWanted();
                connection = http;
                sent = true;
            }
            if (body != null) {
                try (OutputStream out = http.getOutputStream()) {
                    out.write(body);
                }
            }
            int status = status(http);
            synchronized (monitor) {
                checkWanted();
                connection = null; // closing it from outside while its body is read would wait for that read
            }
            if (status < 0) {
                throw new IOException("what answers does not speak HTTP");
            }
            return new Answer(status, http.getContentType(), answerBody(http, status));
        } finally {
            http.disconnect();
        }
    }

    private static int status(HttpURLConnection http) throws IOException {
        try {
            return http.getResponseCode();
        } catch (HttpRetryException e) {
            return e.responseCode(); // 401 to a streamed body: only the status can be read
        }
    }

    private byte[] answerBody(HttpURLConnection http, int status) throws IOException {
        ByteArrayOutputStream found = new ByteArrayOutputStream();
        if (status == HttpURLConnection.HTTP_UNAUTHORIZED && body != null) {
            return found.toByteArray();
        }
        try (InputStream in = status >= 400 ? http.getErrorStream() : http.getInputStream()) {
            byte[] part = new byte[8192];
            for (int n; in != null && (n = in.read(part)) >= 0;) {
                synchronized (monitor) {
                    checkWanted();
                }
                found.write(part, 0, n);
                if (found.size() > MAX_ANSWER_OCTETS) {
                    throw new IOException("the answer is longer than " + MAX_ANSWER_OCTETS + " octets");
                }
            }
        }
        long announced = http.getContentLengthLong();
        if (announced > found.size()) { // the JDK does not mind
            throw new IOException("the answer was cut after " + found.size() + " of " + announced + " octets");
        }
        return found.toByteArray();
    }

    private void checkWanted() throws IOException {
        if (abandoned) {
            throw new IOException("nobody waits for the answer any more");
        }
    }

    private static String reason(IOException failure) {
        String message = failure.getMessage();
        return message == null ? failure.getClass().getSimpleName() : message;
    }

    private static long millisUntil(long nanoTime) {
        return TimeUnit.NANOSECONDS.toMillis(nanoTime - System.nanoTime() + 999_999);
    }
}
