package io.github.scopaymaster.till;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

/** A wire between till and service that does to some requests what wires do. One connection, one request. */
public final class FaultyProxy extends RequestServer {
    /** What happens to a request or its answer. */
    enum Fault {
        /** The request is lost, and the connection with it. */
        DROP,
        /** The service gets the request; its answer is lost. */
        LOSE_ANSWER,
        /** The service gets the request twice, and the second answer comes back. */
        DOUBLE,
        /** The client waits in vain; the service gets the request after the client has given up. */
        DELAY,
        /** The answer ends in the middle of its body. */
        CUT,
        /** The answer's octets come so slowly that the client gives up. */
        SLOW,
    }

    static final int DELAY_MS = 2_500;

    private final AtomicInteger left = new AtomicInteger();
    private final AtomicInteger met = new AtomicInteger();
    private volatile int servicePort;
    private volatile Fault fault;
    private volatile Pattern pattern;

    void to(int port) {
        servicePort = port;
    }

    /** Do this to the first `times` requests whose first line matches, such as "PUT /v1/payments/[^/]+ ". */
    void fault(Fault next, String requests, int times) {
        fault = next;
        pattern = Pattern.compile(requests);
        met.set(0);
        left.set(times);
    }

    /** How many requests met the fault. */
    int met() {
        return met.get();
    }

    @Override
    void answer(byte[] arrived, OutputStream out) throws IOException, InterruptedException {
        byte[] request = new String(arrived, "ISO-8859-1").replace(":" + port() + "\r\n", ":" + servicePort + "\r\n")
                .getBytes("ISO-8859-1"); // the service answers to its own name only
        String line = new String(request, "US-ASCII").split("\r\n", 2)[0];
        Fault now = pattern != null && pattern.matcher(line).find() && left.getAndDecrement() > 0 ? fault : null;
        if (now == null) {
            out.write(forward(request));
            return;
        }
        met.incrementAndGet();
        switch (now) {
            case DROP:
                return;
            case LOSE_ANSWER:
                forward(request);
                return;
            case DOUBLE:
                forward(request);
                out.write(forward(request));
                return;
            case DELAY:
                Thread.sleep(DELAY_MS);
                forward(request);
                return;
            case CUT:
                byte[] whole = forward(request);
                out.write(whole, 0, whole.length - 10);
                return;
            case SLOW:
                for (byte octet : forward(request)) {
                    out.write(octet);
                    out.flush();
                    Thread.sleep(50);
                }
                return;
            default:
                throw new AssertionError(now);
        }
    }

    private byte[] forward(byte[] request) throws IOException {
        try (Socket service = new Socket(InetAddress.getLoopbackAddress(), servicePort)) {
            service.getOutputStream().write(request);
            ByteArrayOutputStream answer = new ByteArrayOutputStream();
            byte[] part = new byte[8192];
            for (int n; (n = service.getInputStream().read(part)) >= 0;) {
                answer.write(part, 0, n);
            }
            return answer.toByteArray();
        }
    }
}
