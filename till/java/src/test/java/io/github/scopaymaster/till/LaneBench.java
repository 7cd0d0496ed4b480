package io.github.scopaymaster.till;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.junit.rules.ExternalResource;

/** The real service of a lane in a process, with a simulated bank: {@code src/test/python/lane_bench.py}. */
public final class LaneBench extends ExternalResource {
    private final String option;
    private Process process;
    private Writer commands;
    private BufferedReader answers;
    private int port;
    private Path folder;

    LaneBench() {
        this("");
    }

    /** With the option "tls" it has a certificate for 127.0.0.1. */
    LaneBench(String option) {
        this.option = option;
    }

    @Override
    protected void before() throws IOException {
        process = new ProcessBuilder(System.getProperty("sco.python"),
                System.getProperty("sco.root") + "/till/java/src/test/python/lane_bench.py", option)
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        commands = new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8);
        answers = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        JsonObject first = answer();
        port = (int) first.integer("port");
        folder = Paths.get(first.text("folder"));
        start();
    }

    @Override
    protected void after() {
        try {
            commands.close();
            process.waitFor();
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    int port() {
        return port;
    }

    String url() {
        return ("tls".equals(option) ? "https" : "http") + "://127.0.0.1:" + port;
    }

    Path tokenFile() {
        return folder.resolve("till.token");
    }

    /** The certificate of who issued the service's. */
    Path authority() {
        return folder.resolve("ca.crt");
    }

    /** A client with short time-outs, through a proxy or straight. */
    LaneClient client(String url) {
        return LaneClient.at(url).tokenFile(tokenFile()).connectTimeoutMs(500).readTimeoutMs(1_500).beginTimeoutMs(2_000)
                .build();
    }

    void start() {
        send("start");
    }

    /** As a power failure does. */
    void kill() {
        send("kill");
    }

    void stop() {
        send("stop");
    }

    void freeze() {
        send("freeze");
    }

    void thaw() {
        send("thaw");
    }

    /** What customer, bank and network do from now on, such as "pays after=1". */
    void use(String script) {
        send("use " + script);
    }

    void offline() {
        send("offline");
    }

    void online() {
        send("online");
    }

    /** How many payments the bank has. */
    long payments() {
        return send("books").integer("payments");
    }

    /** How many cancellations the bank got. */
    long cancels() {
        return send("books").integer("cancels");
    }

    /** What customers paid. */
    long paidKopecks() {
        return send("books").integer("paid_kopecks");
    }

    /** Cancel what still runs, and wait for its end. */
    void free() throws Exception {
        online();
        LaneClient client = LaneClient.at(url()).tokenFile(tokenFile()).build();
        String running = client.lane().getPayment();
        for (int tries = 0; running != null; tries++) {
            if (tries == 200) {
                throw new AssertionError("still runs: " + client.payment(running));
            }
            client.cancel(running);
            Thread.sleep(50);
            running = client.lane().getPayment();
        }
    }

    private synchronized JsonObject send(String command) {
        try {
            commands.write(command + "\n");
            commands.flush();
            return answer();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private JsonObject answer() throws IOException {
        String line = answers.readLine();
        if (line == null) {
            throw new IOException("the bench ended");
        }
        return JsonObject.of(Json.read(line));
    }
}
