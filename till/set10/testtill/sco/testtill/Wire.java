package sco.testtill;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.util.LinkedHashMap;
import java.util.Map;

/** One line a message in both directions: a name, then key=value pairs as in a form, joined by &. */
final class Wire {
    private final BufferedReader in;
    private final PrintStream out;

    Wire(BufferedReader in, PrintStream out) {
        this.in = in;
        this.out = out;
    }

    /** The next message with its name as "name"; null at the end. */
    Map<String, String> read() throws IOException {
        String line = in.readLine();
        if (line == null) {
            return null;
        }
        Map<String, String> message = new LinkedHashMap<>();
        for (String pair : line.split("&")) {
            String[] part = pair.split("=", 2);
            message.put(URLDecoder.decode(part[0], "UTF-8"), part.length < 2 ? "" : URLDecoder.decode(part[1], "UTF-8"));
        }
        return message;
    }

    /** @param fields keys and values in turn; a null value is left out */
    synchronized void send(String name, Object... fields) {
        try {
            StringBuilder line = new StringBuilder("name=").append(name).append("&at_us=").append(System.nanoTime() / 1000);
            for (int i = 0; i < fields.length; i += 2) {
                if (fields[i + 1] != null) {
                    line.append('&').append(URLEncoder.encode(fields[i].toString(), "UTF-8"));
                    line.append('=').append(URLEncoder.encode(fields[i + 1].toString(), "UTF-8"));
                }
            }
            out.println(line);
            out.flush();
        } catch (IOException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
