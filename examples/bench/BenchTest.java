import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.AfterClass;
import org.junit.Before;
import org.junit.BeforeClass;
import org.junit.Test;

/** A till's test: the lane's service and the mock devices are processes; nothing of either is in this one. */
public class BenchTest {
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static Process bench;
    private static Process lane;
    private static String benchUrl;
    private static String laneUrl;
    private static String token;

    @BeforeClass
    public static void start() throws Exception {
        bench = program("sco-sim", "serve").start();
        String urls = new BufferedReader(new InputStreamReader(bench.getInputStream(), StandardCharsets.UTF_8)).readLine();
        benchUrl = text(urls, "url");
        laneUrl = text(urls, "service");
        token = Files.readString(Path.of(text(urls, "till_token_file")));
        ProcessBuilder service = program("sco-pay", "serve", "--settings", text(urls, "settings"));
        service.environment().put("SCO_TIMING_POLL_INTERVAL_S", "0.5");
        lane = service.redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!answers(laneUrl + "/healthz")) {
            assertTrue("the lane's service does not start", lane.isAlive() && System.nanoTime() < end);
            Thread.sleep(200);
        }
    }

    @AfterClass
    public static void stop() throws Exception {
        for (Process one : new Process[] {lane, bench}) {
            if (one != null) {
                one.destroy();
                one.waitFor();
            }
        }
    }

    @Before
    public void reset() throws Exception {
        ask("POST", benchUrl + "/reset", "{}");
    }

    @Test
    public void aCustomerPaysWhatTheScreenShows() throws Exception {
        ask("POST", benchUrl + "/customers", "{\"does\": \"pays\", \"place\": \"screen\", \"after_s\": 1}");
        ask("PUT", laneUrl + "/v1/payments/java-1", "{\"order\": \"java-1\", \"total_kopecks\": 25300}");
        assertEquals("paid", outcome("java-1"));
        ask("POST", laneUrl + "/v1/payments/java-1/taken", "{}");
        assertTrue(ask("GET", benchUrl + "/state", null).contains("\"status\":\"Settled\""));
    }

    @Test
    public void theBanksAnswerIsLostAndThePaymentIsNotCreatedTwice() throws Exception {
        ask("PUT", benchUrl + "/faults/paymaster.cut-after", "{\"on\": \"create\", \"first\": 1}");
        ask("POST", benchUrl + "/customers", "{\"does\": \"declines\", \"place\": \"display\"}");
        ask("PUT", laneUrl + "/v1/payments/java-2", "{\"order\": \"java-2\", \"total_kopecks\": 9900}");
        assertEquals("unpaid", outcome("java-2"));
        assertTrue(ask("GET", benchUrl + "/state", null).contains("\"creates\":1,"));
    }

    private static String outcome(String id) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (System.nanoTime() < end) {
            String payment = ask("GET", laneUrl + "/v1/payments/" + id, null);
            if (!payment.contains("\"outcome\":null")) {
                return text(payment, "outcome");
            }
            Thread.sleep(200);
        }
        return "none within 60 s";
    }

    private static ProcessBuilder program(String... command) {
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    }

    private static boolean answers(String url) throws InterruptedException {
        try {
            HTTP.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.discarding());
            return true;
        } catch (java.io.IOException nobody) {
            return false;
        }
    }

    private static String ask(String method, String url, String body) throws Exception {
        HttpRequest.BodyPublisher sent = body == null
            ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).method(method, sent)
            .header("Content-Type", "application/json");
        if (url.startsWith(laneUrl)) {
            request.header("Authorization", "Bearer " + token);
        }
        HttpResponse<String> answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
        assertTrue(method + " " + url + ": " + answer.statusCode() + " " + answer.body(), answer.statusCode() < 300);
        return answer.body();
    }

    /** A member of a flat JSON object; a till has a JSON library for that. */
    private static String text(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": ?\"([^\"]*)\"").matcher(json);
        assertTrue("no " + name + " in " + json, found.find());
        return found.group(1);
    }
}
