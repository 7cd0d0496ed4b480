package io.github.scopaymaster.till;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.rules.ExternalResource;

/** Something on a port that reads one request and does with the connection what the test says. */
public final class ScriptedServer extends ExternalResource {
    /** What is done when a request has been read. The connection is closed afterwards. */
    interface Reply {
        void reply(OutputStream out) throws IOException, InterruptedException;
    }

    /** Requests as they came, each with its head and body. */
    final List<String> requests = Collections.synchronizedList(new ArrayList<>());

    private ServerSocket listening;
    private final List<Thread> threads = Collections.synchronizedList(new ArrayList<>());
    private volatile Reply reply = out -> { };

    String url() {
        return "http://127.0.0.1:" + listening.getLocalPort();
    }

    void reply(Reply next) {
        reply = next;
    }

    void reply(int status, String contentType, String body) {
        reply(out -> out.write(answer(status, contentType, body)));
    }

    static byte[] answer(int status, String contentType, String body) {
        byte[] octets = body.getBytes(StandardCharsets.UTF_8);
        String head = "HTTP/1.1 " + status + " X\r\nConnection: close\r\nContent-Type: " + contentType + "\r\nContent-Length: " + octets.length
                + "\r\n\r\n";
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(head.getBytes(StandardCharsets.US_ASCII), 0, head.length());
        all.write(octets, 0, octets.length);
        return all.toByteArray();
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
                thread.join(2_000);
            }
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private void start(Runnable work) {
        Thread thread = new Thread(work, "scripted-server");
        threads.add(thread);
        thread.start();
    }

    private void serve(Socket socket) {
        try (Socket open = socket) {
            InputStream in = open.getInputStream();
            ByteArrayOutputStream head = new ByteArrayOutputStream();
            while (!head.toString("US-ASCII").endsWith("\r\n\r\n")) {
                int c = in.read();
                if (c < 0) {
                    return;
                }
                head.write(c);
            }
            String request = head.toString("US-ASCII");
            int at = request.toLowerCase().indexOf("content-length: ");
            int length = at < 0 ? 0 : Integer.parseInt(request.substring(at + 16, request.indexOf("\r\n", at)));
            for (int i = 0; i < length; i++) {
                head.write(in.read());
            }
            requests.add(head.toString("US-ASCII"));
            reply.reply(open.getOutputStream());
        } catch (IOException | InterruptedException gone) {
            return;
        }
    }
}
