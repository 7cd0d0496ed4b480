package io.github.scopaymaster.till;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Something on a port that reads one request and does with the connection what the test says. */
public final class ScriptedServer extends RequestServer {
    /** What is done when a request has been read. The connection is closed afterwards. */
    interface Reply {
        void reply(OutputStream out) throws IOException, InterruptedException;
    }

    /** Requests as they came, each with its head and body. */
    final List<String> requests = Collections.synchronizedList(new ArrayList<>());

    private volatile Reply reply = out -> { };

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
    void answer(byte[] request, OutputStream out) throws IOException, InterruptedException {
        requests.add(new String(request, StandardCharsets.US_ASCII));
        reply.reply(out);
    }
}
