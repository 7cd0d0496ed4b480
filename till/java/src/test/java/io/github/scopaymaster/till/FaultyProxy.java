package io.github.scopaymaster.till;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.junit.rules.ExternalResource;

/** A wire between till and service that does to some requests what wires do. One connection, one request. */
public final class FaultyProxy extends ExternalResource {
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
    private final List<Thread> threads = Collections.synchronizedList(new ArrayList<>());
    private ServerSocket listening;
    private volatile int port;
    private volatile Fault fault;
    private volatile Pattern pattern;

    String url() {
        return "http://127.0.0.1:" + listening.getLocalPort();
    }

    void to(int servicePort) {
        port = servicePort;
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
    protected void before() throws IOException {
        listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(() -> {
            while (true) {
                Socket socket;
                try {
                    socket = listening.accept();
                } catch (IOException closed) {
                    return;
                }
                start(() -> serve(socket));
            }
        });
    }

    @Override
    protected void after() {
        try {
            listening.close();
            for (Thread thread : new ArrayList<>(threads)) {
                thread.interrupt();
                thread.join(5_000);
            }
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private void start(Runnable work) {
        Thread thread = new Thread(work, "faulty-proxy");
        threads.add(thread);
        thread.start();
    }

    private void serve(Socket socket) {
        try (Socket open = socket) {
            byte[] request = readRequest(open.getInputStream());
            request = new String(request, "ISO-8859-1").replace(":" + listening.getLocalPort() + "\r\n", ":" + port + "\r\n")
                    .getBytes("ISO-8859-1"); // the service answers to its own name only
            OutputStream out = open.getOutputStream();
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
        } catch (IOException | InterruptedException gone) {
            return;
        }
    }

    private byte[] forward(byte[] request) throws IOException {
        try (Socket service = new Socket(InetAddress.getLoopbackAddress(), port)) {
            service.getOutputStream().write(request);
            ByteArrayOutputStream answer = new ByteArrayOutputStream();
            byte[] part = new byte[8192];
            for (int n; (n = service.getInputStream().read(part)) >= 0;) {
                answer.write(part, 0, n);
            }
            return answer.toByteArray();
        }
    }

    /** A request with its body. */
    private static byte[] readRequest(InputStream in) throws IOException {
        ByteArrayOutputStream request = new ByteArrayOutputStream();
        while (!request.toString("US-ASCII").endsWith("\r\n\r\n")) {
            int c = in.read();
            if (c < 0) {
                throw new IOException("no request");
            }
            request.write(c);
        }
        String head = request.toString("US-ASCII").toLowerCase();
        int at = head.indexOf("content-length: ");
        int length = at < 0 ? 0 : Integer.parseInt(head.substring(at + 16, head.indexOf("\r\n", at)));
        for (int i = 0; i < length; i++) {
            request.write(in.read());
        }
        return request.toByteArray();
    }
}
