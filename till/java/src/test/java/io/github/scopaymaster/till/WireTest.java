package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.RuleChain;
import org.junit.rules.TemporaryFolder;

/** What the client makes of everything that may come over a wire. */
public class WireTest {
    static final String PAYMENT = "{\"id\":\"p1\",\"attempt\":\"a1\",\"order\":\"o\",\"amount_kopecks\":100,"
            + "\"total_kopecks\":100,\"tendered_elsewhere_kopecks\":0,\"tendered_by_sbp_kopecks\":0,\"mode\":1,"
            + "\"state\":\"running\",\"phase\":\"waiting\",\"outcome\":null,\"reason\":\"none\",\"detail\":\"\","
            + "\"presented\":true,\"payment_id\":null,\"case\":null,\"taken\":false,\"begun_at_ms\":1,"
            + "\"expires_at_ms\":2,\"last_seq\":3,\"final\":false,\"a_new_field\":[1]}";
    private static final Order ORDER = Order.of("o", 100);
    private static final int READ_MS = 700;

    private final ScriptedServer server = new ScriptedServer();
    private final TemporaryFolder folder = new TemporaryFolder();

    @Rule
    public final RuleChain rules = RuleChain.outerRule(new NoThreadLeft()).around(folder).around(server);

    private LaneClient client() {
        return LaneClient.at(server.url()).connectTimeoutMs(500).readTimeoutMs(READ_MS).build();
    }

    @Test
    public void aRequestSaysWhatItMust() throws Exception {
        Path token = folder.newFile().toPath();
        Files.write(token, "secret\n".getBytes(StandardCharsets.US_ASCII));
        server.reply(201, "application/json", PAYMENT);
        LaneClient client = LaneClient.at(server.url() + "/").tokenFile(token).build();
        Payment payment = client.begin("p1", ORDER);
        assertEquals("a1", payment.getAttempt());
        assertEquals("1.00", payment.getAmountRoubles().toString());
        assertEquals(100, payment.getTotalKopecks());
        assertNull(payment.getOutcome());
        assertTrue(payment.isRunning() && !payment.isAsking() && !payment.mayReleaseGoods());
        String request = server.requests.get(0);
        assertTrue(request, request.startsWith("PUT /v1/payments/p1 HTTP/1.1\r\n"));
        assertTrue(request, request.contains("\r\nAuthorization: Bearer secret\r\n"));
        assertTrue(request, request.contains("\r\nConnection: close\r\n"));
        assertTrue(request, request.contains("\r\nContent-Type: application/json\r\n"));
        assertTrue(request, request.endsWith(Json.write(ORDER.toJson())));
    }

    @Test
    public void queriesAreEncoded() throws Exception {
        server.reply(200, "application/json; charset=utf-8", "{\"payments\":[" + PAYMENT + "]}");
        assertEquals(1, client().paymentsOfOrder("7 №&=1").size());
        assertTrue(server.requests.get(0).startsWith("GET /v1/payments?order=7+%E2%84%96%26%3D1 "));
    }

    @Test
    public void badIdsAndUrlsAreRefusedBeforeAnythingIsSent() throws Exception {
        for (String id : new String[] {"", ".", "..", "a/b", "a b", "ж", "a\n", "a?b", new String(new char[65]).replace('\0', 'a')}) {
            try {
                client().payment(id);
                fail("sent: " + id);
            } catch (IllegalArgumentException e) {
                assertTrue(e.getMessage(), e.getMessage().startsWith("an id is"));
            }
        }
        for (String url : new String[] {"", "x", "ftp://a", "http://", "http://a/b", "http://a?b", "http://u@a", "http://a#b"}) {
            try {
                LaneClient.at(url).build();
                fail("built: " + url);
            } catch (IllegalArgumentException e) {
                assertTrue(e.getMessage(), e.getMessage().contains("URL"));
            }
        }
        assertTrue(server.requests.isEmpty());
    }

    @Test
    public void aRefusalTellsItsReason() throws Exception {
        server.reply(409, "application/problem+json", "{\"type\":\"about:blank#lane_busy\",\"title\":\"Lane busy\",\"status\":409,"
                + "\"detail\":\"Another payment.\",\"detail_ru\":\"Идёт оплата.\",\"code\":\"lane_busy\",\"retry\":true,"
                + "\"field\":\"order\"}");
        try {
            client().begin("p1", ORDER);
            fail();
        } catch (LaneProblem e) {
            assertEquals("lane_busy", e.getCode());
            assertEquals(409, e.getStatus());
            assertTrue(e.isRetry());
            assertEquals("Another payment.", e.getDetail());
            assertEquals("Идёт оплата.", e.getDetailRu());
            assertEquals("order", e.getField());
        }
    }

    @Test
    public void whatWasRefusedBeforeAnythingWasDoneIsAProblem() throws Exception {
        byte[][] answers = {
            problem(503, "lane_stopping", ""),
            problem(503, "printer_unavailable", ""),
            problem(409, "lane_busy", ""),
            problem(503, "too_many_connections", ",\"nothing_done\":true"),
        };
        for (byte[] answer : answers) {
            server.reply(out -> out.write(answer));
            try {
                fail(client().begin("p1", ORDER).toString());
            } catch (LaneProblem e) {
                assertTrue(e.getMessage(), e.isRetry());
            }
        }
    }

    private static byte[] problem(int status, String code, String more) {
        return ScriptedServer.answer(status, "application/problem+json", "{\"status\":" + status + ",\"code\":\"" + code
                + "\",\"detail\":\"d\",\"retry\":true" + more + "}");
    }

    @Test
    public void nothingListens() throws Exception {
        int port;
        try (ServerSocket socket = new ServerSocket(0)) {
            port = socket.getLocalPort();
        }
        LaneUnreachable e = unreachable(LaneClient.at("http://127.0.0.1:" + port).build());
        assertFalse(e.getMessage(), e.mayHaveArrived());
    }

    @Test
    public void aPutIsSentOnceThoughTheConnectionEndsBeforeItsAnswer() throws Exception {
        LaneUnreachable e = unreachable(client()); // the server closes the connection
        assertTrue(e.mayHaveArrived());
        assertEquals(1, server.requests.size());
    }

    @Test
    public void redirectsAreNotFollowed() throws Exception {
        server.reply(out -> out.write(("HTTP/1.1 307 X\r\nConnection: close\r\nLocation: " + server.url()
                + "/other\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}").getBytes("US-ASCII")));
        assertTrue(unreachable(client()).mayHaveArrived());
        assertTrue(getUnreachable(client()).mayHaveArrived());
        assertEquals(2, server.requests.size());
    }

    @Test
    public void proxiesAreNotUsed() throws Exception {
        ProxySelector before = ProxySelector.getDefault();
        ProxySelector.setDefault(new ProxySelector() {
            @Override
            public List<Proxy> select(URI uri) {
                return Collections.singletonList(new Proxy(Proxy.Type.HTTP, new InetSocketAddress("127.0.0.1", 1)));
            }

            @Override
            public void connectFailed(URI uri, SocketAddress address, IOException e) {
            }
        });
        try {
            server.reply(200, "application/json", PAYMENT);
            client().payment("p1");
        } finally {
            ProxySelector.setDefault(before);
        }
    }

    @Test
    public void senselessAnswersAreNoAnswers() throws Exception {
        byte[][] answers = {
            ScriptedServer.answer(200, "text/html", PAYMENT),
            ScriptedServer.answer(200, "application/json", "<html>"),
            ScriptedServer.answer(200, "application/json", "{}"),
            ScriptedServer.answer(200, "application/json", "[]"),
            ScriptedServer.answer(200, "application/json", ""),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("\"p1\"", "\"p2\"")),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("\"outcome\":null", "\"outcome\":\"paid\"")),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("running", "finished")),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("\"case\":null", "\"case\":\"none\"")),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("\"taken\":false,", "")),
            ScriptedServer.answer(200, "application/json", PAYMENT.replace("100", "100.0")),
            ScriptedServer.answer(204, "application/json", ""),
            ScriptedServer.answer(404, "text/html", "<html>"),
            ScriptedServer.answer(502, "text/html", "<html>"),
            ScriptedServer.answer(409, "application/json", "{\"code\":\"x\"}"),
            ScriptedServer.answer(409, "application/problem+json", "{\"status\":409,\"code\":\"x\"}"),
            ScriptedServer.answer(500, "application/problem+json",
                    "{\"status\":500,\"code\":\"internal\",\"detail\":\"broken\",\"retry\":false}"),
            ScriptedServer.answer(409, "application/problem+json", "{\"status\":503,\"code\":\"x\",\"detail\":\"y\"}"),
            problem(503, "journal_unavailable", ""),
            problem(503, "too_many_connections", ""),
            problem(503, "of_a_later_version", ""),
            problem(503, "journal_unavailable", ",\"nothing_done\":false"),
            problem(409, "of_a_later_version", ",\"nothing_done\":false"),
            ScriptedServer.answer(503, "application/problem+json", "{\"status\":503,\"code\":\"lane_stopping\"}"),
            "SSH-2.0-OpenSSH_9.2\r\n".getBytes("US-ASCII"),
            "HTTP/1.1 200 OK\r\n".getBytes("US-ASCII"),
            new byte[] {0, 1, 2, 3},
        };
        for (byte[] answer : answers) {
            server.reply(out -> out.write(answer));
            LaneUnreachable e = unreachable(client());
            assertTrue(new String(answer, "UTF-8") + ": " + e, e.mayHaveArrived());
            assertTrue(e.getMessage(), e.getMessage().startsWith("PUT http://127.0.0.1:"));
            getUnreachable(client());
        }
    }

    @Test
    public void aCutBodyIsNoAnswer() throws Exception {
        byte[] whole = ScriptedServer.answer(200, "application/json", PAYMENT + "                    ");
        server.reply(out -> out.write(whole, 0, whole.length - 5)); // what is left would be good JSON
        assertTrue(unreachable(client()).getMessage().contains("the answer was cut after "));
        server.reply(out -> out.write(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "FFF\r\n" + PAYMENT).getBytes("US-ASCII")));
        unreachable(client());
    }

    @Test
    public void anEndlessBodyIsCutOff() throws Exception {
        server.reply(out -> {
            out.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n".getBytes("US-ASCII"));
            byte[] spaces = new byte[65_536];
            while (true) {
                out.write(spaces);
            }
        });
        LaneClient patient = LaneClient.at(server.url()).readTimeoutMs(20_000).build();
        assertTrue(getUnreachable(patient).getMessage().contains("the answer is longer than"));
    }

    @Test(timeout = 10_000)
    public void silenceEnds() throws Exception {
        server.reply(out -> Thread.sleep(60_000));
        takesAboutTheReadTimeout();
    }

    @Test(timeout = 10_000)
    public void slowOctetsInTheHeadEnd() throws Exception {
        server.reply(out -> trickle(out, "HTTP/1.1 200 OK\r\nX: "));
        takesAboutTheReadTimeout();
    }

    @Test(timeout = 10_000)
    public void slowOctetsInTheBodyEnd() throws Exception {
        server.reply(out -> trickle(out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"));
        takesAboutTheReadTimeout();
        server.reply(out -> trickle(out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\nFFFF\r\n"));
        takesAboutTheReadTimeout();
    }

    @Test(timeout = 10_000)
    public void silenceInTheBodyEnds() throws Exception {
        server.reply(out -> {
            out.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{".getBytes("US-ASCII"));
            Thread.sleep(60_000);
        });
        takesAboutTheReadTimeout();
    }

    @Test(timeout = 10_000)
    public void anInterruptEndsACallAtOnce() throws Exception {
        server.reply(out -> Thread.sleep(60_000));
        LaneClient patient = LaneClient.at(server.url()).readTimeoutMs(60_000).build();
        AtomicReference<Object> end = new AtomicReference<>();
        Thread caller = new Thread(() -> {
            try {
                end.set(patient.begin("p1", ORDER));
            } catch (InterruptedException | LaneException e) {
                end.set(e);
            }
        });
        caller.start();
        while (server.requests.isEmpty()) {
            Thread.sleep(10);
        }
        long start = System.nanoTime();
        caller.interrupt();
        caller.join();
        assertTrue(String.valueOf(end.get()), end.get() instanceof InterruptedException);
        assertTrue(System.nanoTime() - start < 1_000_000_000L);
    }

    @Test
    public void aReplacedTokenIsReadAgain() throws Exception {
        File file = folder.newFile();
        Files.write(file.toPath(), "old".getBytes("US-ASCII"));
        LaneClient client = LaneClient.at(server.url()).tokenFile(file.toPath()).build();
        server.reply(200, "application/json", PAYMENT);
        client.payment("p1");
        Files.write(file.toPath(), "new".getBytes("US-ASCII"));
        client.payment("p1");
        assertTrue(server.requests.get(1).contains("Bearer old")); // not read while it serves
        server.reply(out -> out.write(server.requests.get(server.requests.size() - 1).contains("Bearer new")
                ? ScriptedServer.answer(200, "application/json", PAYMENT)
                : ScriptedServer.answer(401, "application/problem+json", "{}")));
        client.begin("p1", ORDER);
        assertEquals(4, server.requests.size());
        client.payment("p1");
        assertEquals(5, server.requests.size());
    }

    @Test
    public void aTokenThatTheServiceRefusesIsTriedTwiceAndNoMore() throws Exception {
        Path file = folder.newFile().toPath();
        Files.write(file, "bad".getBytes("US-ASCII"));
        server.reply(401, "application/problem+json", "{}");
        for (int i = 0; i < 2; i++) {
            try {
                if (i == 0) {
                    LaneClient.at(server.url()).tokenFile(file).build().payment("p1");
                } else {
                    LaneClient.at(server.url()).tokenFile(file).build().begin("p1", ORDER);
                }
                fail();
            } catch (LaneProblem e) {
                assertEquals("unauthorized", e.getCode());
            }
            assertEquals(2 * (i + 1), server.requests.size());
        }
    }

    @Test
    public void aTokenFileThatHoldsNoTokenSendsNothing() throws Exception {
        Path file = folder.getRoot().toPath().resolve("token");
        LaneClient client = LaneClient.at(server.url()).tokenFile(file).build();
        assertFalse(unreachable(client).mayHaveArrived());
        for (String bad : new String[] {"", "two words", "a\r\nX-Evil: 1", "ключ"}) {
            Files.write(file, bad.getBytes("UTF-8"));
            LaneUnreachable e = unreachable(client);
            assertTrue(e.getMessage(), e.getMessage().contains("must hold one token") && !e.mayHaveArrived());
        }
        assertTrue(server.requests.isEmpty());
    }

    private void takesAboutTheReadTimeout() throws Exception {
        long start = System.nanoTime();
        assertTrue(getUnreachable(client()).mayHaveArrived());
        long ms = (System.nanoTime() - start) / 1_000_000;
        assertTrue("took " + ms + " ms", ms >= READ_MS - 50 && ms < READ_MS + 1_500);
        Thread.sleep(READ_MS + 500); // the longest is a silence in the body, which its own read time-out ends
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            assertFalse("still there: " + thread, thread.getName().startsWith("sco-till"));
        }
    }

    private static void trickle(OutputStream out, String begin) throws IOException, InterruptedException {
        out.write(begin.getBytes("US-ASCII"));
        while (true) {
            out.write('1');
            out.flush();
            Thread.sleep(100);
        }
    }

    private static LaneUnreachable unreachable(LaneClient client) throws Exception {
        try {
            throw new AssertionError("answered: " + client.begin("p1", ORDER));
        } catch (LaneUnreachable e) {
            return e;
        }
    }

    private static LaneUnreachable getUnreachable(LaneClient client) throws Exception {
        try {
            throw new AssertionError("answered: " + client.payment("p1"));
        } catch (LaneUnreachable e) {
            return e;
        }
    }
}
