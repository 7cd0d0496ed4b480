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
import org.junit.rules.ExternalResource;

/** Something on a port: it reads one request of each connection, answers it in its own way, and closes. */
abstract class RequestServer extends ExternalResource {
    private final List<Thread> threads = Collections.synchronizedList(new ArrayList<>());
    private ServerSocket listening;

    /** Does with a request, head and body, what the server is for. */
    abstract void answer(byte[] request, OutputStream out) throws IOException, InterruptedException;

    int port() {
        return listening.getLocalPort();
    }

    String url() {
        return "http://127.0.0.1:" + port();
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
        Thread thread = new Thread(work, getClass().getSimpleName());
        threads.add(thread);
        thread.start();
    }

    private void serve(Socket socket) {
        try (Socket open = socket) {
            answer(readRequest(open.getInputStream()), open.getOutputStream());
        } catch (IOException | InterruptedException gone) {
            return;
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
