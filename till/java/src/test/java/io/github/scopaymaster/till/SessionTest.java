package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.RuleChain;
import org.junit.rules.TemporaryFolder;

/** What a session makes of answers that the service gives in bad times only. */
public class SessionTest {
    private static final String RUNNING = WireTest.PAYMENT;
    private static final String NONE = "{\"events\":[],\"next_after\":0}";

    private final ScriptedServer server = new ScriptedServer();
    private final TemporaryFolder folder = new TemporaryFolder();

    @Rule
    public final RuleChain rules = RuleChain.outerRule(new NoThreadLeft()).around(folder).around(server);

    private PaymentSession begin() {
        LaneClient client = LaneClient.at(server.url()).readTimeoutMs(1_000).beginTimeoutMs(1_000).build();
        return PaymentSession.begin(client, "p1", Order.of("o", 100), new Recorder()).beginWithinMs(500).silenceMs(800);
    }

    private static byte[] refusal(int status, String code, boolean retry) {
        return ScriptedServer.answer(status, "application/problem+json", "{\"status\":" + status + ",\"code\":\"" + code
                + "\",\"detail\":\"d\",\"detail_ru\":\"д\",\"retry\":" + retry + "}");
    }

    private static byte[] ok(String json) {
        return ScriptedServer.answer(200, "application/json", json);
    }

    private String last() {
        return server.requests.get(server.requests.size() - 1);
    }

    @Test
    public void aBusyLaneIsAskedUntilTheTimeIsUp() throws Exception {
        server.reply(out -> out.write(refusal(409, "lane_busy", true)));
        LaneProblem e = refused(begin());
        assertEquals("lane_busy", e.getCode());
        assertTrue(server.requests.size() > 1);
    }

    @Test
    public void aRefusalForGoodIsTheLastWord() throws Exception {
        server.reply(out -> out.write(refusal(409, "order_open", false)));
        assertEquals("order_open", refused(begin()).getCode());
        assertEquals(1, server.requests.size());
    }

    @Test
    public void aLostAnswerAndThenABusyLaneIsUnknown() throws Exception {
        server.reply(out -> {
            if (server.requests.size() > 1) {
                out.write(refusal(409, "lane_busy", true));
            }
        });
        assertTrue(unreachable(begin()).mayHaveArrived());
    }

    @Test
    public void aLostAnswerAndThenARefusedTokenIsUnknown() throws Exception {
        server.reply(out -> {
            if (server.requests.size() > 1) {
                out.write(refusal(401, "unauthorized", false));
            }
        });
        assertTrue(unreachable(begin()).mayHaveArrived());
    }

    @Test
    public void aServiceThatHasLostItsJournalLeavesItUnknown() throws Exception {
        server.reply(out -> out.write(last().startsWith("PUT") ? ok(RUNNING) : refusal(404, "no_such_payment", false)));
        LaneUnreachable e = unreachable(begin());
        assertTrue(e.mayHaveArrived());
        assertTrue(e.getMessage(), e.getMessage().contains("no_such_payment"));
    }

    /** The service may have written the payment's first step before its disk failed. */
    @Test
    public void aJournalThatFailsInTheBeginningLeavesItUnknown() throws Exception {
        server.reply(out -> out.write(refusal(503, "journal_unavailable", true)));
        assertTrue(unreachable(begin()).mayHaveArrived());
        assertTrue(server.requests.size() > 1);
    }

    private PaymentSession resume() {
        LaneClient client = LaneClient.at(server.url()).readTimeoutMs(1_000).build();
        return PaymentSession.resume(client, "p1", new Recorder()).beginWithinMs(500).silenceMs(800);
    }

    private byte[] lane(String payment) {
        return ok("{\"lane_id\":\"l\",\"shop\":\"s\",\"version\":\"v\",\"language\":\"ru\",\"journal\":{\"last_seq\":1},\"profile\":\"4:3\",\"mode\":1,\"started_at_ms\":1,\"open_cases\":0,"
                + "\"payment\":" + payment + ",\"devices\":[]}");
    }

    @Test
    public void aPaymentThatWaitsForTheLaneWasNotNeverBegun() throws Exception {
        int[] looks = {0};
        server.reply(out -> {
            if (last().startsWith("GET /v1/lane")) {
                out.write(lane(++looks[0] < 3 ? "\"p1\"" : "null"));
            } else {
                out.write(looks[0] < 2 ? refusal(404, "no_such_payment", false) : ok(finished("unpaid", "null")));
            }
        });
        assertEquals(Outcome.UNPAID, resume().run().getOutcome());
        server.reply(out -> out.write(
                last().startsWith("GET /v1/lane") ? lane("\"p1\"") : refusal(404, "no_such_payment", false)));
        assertTrue(unreachable(resume()).mayHaveArrived());
        server.reply(out -> out.write(refusal(409, "not_begun_yet", true)));
        assertTrue(unreachable(resume()).mayHaveArrived());
    }

    @Test
    public void aPaymentThatNobodyKnowsWasNeverBegun() throws Exception {
        server.reply(out -> out.write(
                last().startsWith("GET /v1/lane") ? lane("\"p2\"") : refusal(404, "no_such_payment", false)));
        assertEquals("no_such_payment", refused(resume()).getCode());
    }

    @Test
    public void aPressOfTheDialogSurvivesARefusalForNow() throws Exception {
        for (byte[] fault : new byte[][] {refusal(503, "lane_stopping", true), refusal(401, "unauthorized", false),
            refusal(403, "forbidden", false)}) {
            int[] presses = {0};
            server.reply(out -> {
                if (last().contains("/choice")) {
                    out.write(++presses[0] == 1 ? fault : ok("{\"accepted\":true}"));
                } else if (last().contains("/events")) {
                    out.write(ok(NONE));
                } else {
                    out.write(ok(presses[0] < 2 ? RUNNING : finished("unpaid", "null")));
                }
            });
            PaymentSession session = begin().longestMs(5_000);
            session.choose(Choice.RETRY);
            assertEquals(Outcome.UNPAID, session.run().getOutcome());
        }
    }

    @Test
    public void aPressOfADialogThatIsGoneIsSentOnce() throws Exception {
        int[] presses = {0};
        server.reply(out -> {
            if (last().contains("/choice")) {
                presses[0]++;
                out.write(refusal(409, "not_offered", false));
            } else {
                Thread.sleep(20);
                out.write(ok(last().contains("/events") ? NONE : RUNNING));
            }
        });
        PaymentSession session = begin().longestMs(500);
        session.choose(Choice.RETRY);
        unreachable(session);
        assertEquals(1, presses[0]);
    }

    @Test(timeout = 20_000)
    public void aPaymentThatNeverEndsIsGivenUp() throws Exception {
        server.reply(out -> {
            Thread.sleep(20);
            out.write(ok(last().contains("/events") ? NONE : RUNNING));
        });
        long start = System.nanoTime();
        assertTrue(unreachable(begin().longestMs(1_000)).mayHaveArrived());
        assertTrue(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start) < 3_000);
    }

    @Test
    public void archivedEventsAreSkipped() throws Exception {
        server.reply(out -> {
            if (last().contains("/events?after=0&")) {
                out.write(ScriptedServer.answer(410, "application/problem+json", "{\"status\":410,\"code\":\"events_archived\","
                        + "\"detail\":\"d\",\"detail_ru\":\"д\",\"retry\":false,\"first_seq\":50}"));
            } else if (last().contains("/events?after=49&")) {
                out.write(ok("{\"events\":[],\"next_after\":60}"));
            } else {
                out.write(ok(last().startsWith("PUT") ? RUNNING : finished("unpaid", "null")));
            }
        });
        assertEquals(Outcome.UNPAID, begin().run().getOutcome());
    }

    @Test
    public void paidWithACaseReleasesNothing() throws Exception {
        server.reply(out -> out.write(ok(finished("paid", "7"))));
        Payment payment = begin().run();
        assertEquals(Outcome.PAID, payment.getOutcome());
        assertFalse(payment.mayReleaseGoods());
        assertEquals(Long.valueOf(7), payment.getCase());
    }

    @Test
    public void anOutcomeOfALaterVersionIsUnknown() throws Exception {
        server.reply(out -> out.write(ok(finished("partly_paid", "null"))));
        Payment payment = begin().run();
        assertEquals(Outcome.UNKNOWN, payment.getOutcome());
        assertFalse(payment.mayReleaseGoods());
    }

    @Test
    public void aSessionRunsOnce() throws Exception {
        server.reply(out -> out.write(ok(finished("unpaid", "null"))));
        PaymentSession session = begin();
        session.run();
        try {
            session.run();
        } catch (IllegalStateException e) {
            return;
        }
        throw new AssertionError("ran twice");
    }

    @Test
    public void takenIsRepeatedWithinItsTime() throws Exception {
        server.reply(out -> {
            if (server.requests.size() > 2) {
                out.write(ok(finished("paid", "null")));
            } else if (server.requests.size() == 2) {
                out.write(refusal(503, "journal_unavailable", true));
            }
        });
        assertEquals(Outcome.PAID, begin().taken(5_000).getOutcome());
        assertEquals(3, server.requests.size());
        server.reply(out -> { });
        long start = System.nanoTime();
        try {
            begin().taken(300);
        } catch (LaneUnreachable e) {
            assertTrue(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start) < 2_500);
            return;
        }
        throw new AssertionError("taken");
    }

    @Test
    public void aJournalThatWasReplacedIsReadFromItsBeginningHoweverLongItIs() throws Exception {
        LaneClient client = LaneClient.at(server.url()).readTimeoutMs(1_000).build();
        server.reply(out -> out.write(ok(last().contains("after=40&")
                ? "{\"events\":[],\"next_after\":40,\"journal\":\"second\"}"
                : "{\"events\":[{\"seq\":3,\"at_ms\":1,\"type\":\"note\",\"payment\":null,\"attempt\":\"k\"}],"
                        + "\"next_after\":55,\"journal\":\"second\"}")));
        CursorStore store = CursorStore.inMemory();
        store.save(new EventCursor(40, "first"));
        List<String> seen = new ArrayList<>();
        EventFollower follower = new EventFollower(client, store);
        EventFollower.Handler handler = new EventFollower.Handler() {
            @Override
            public void event(LaneEvent event) {
                seen.add("row " + event.getSeq());
            }

            @Override
            public void gap(long after) {
                seen.add("gap " + after);
            }
        };
        assertEquals(1, follower.poll(0, handler));
        assertEquals(Arrays.asList("gap 0", "row 3"), seen);
        assertEquals(new EventCursor(55, "second"), store.load());
    }

    @Test
    public void aCursorFileIsReplacedAsAWhole() throws Exception {
        Path file = folder.getRoot().toPath().resolve("cursor");
        FileCursorStore store = new FileCursorStore(file);
        assertEquals(EventCursor.START, store.load());
        store.save(new EventCursor(12, ""));
        assertEquals(new EventCursor(12, ""), new FileCursorStore(file).load());
        EventCursor last = new EventCursor(9_007_199_254_740_991L, "5f3a91c2e0b14d7f");
        store.save(last);
        assertEquals(last, new FileCursorStore(file).load());
        assertEquals(1, folder.getRoot().list().length);
        for (String bad : new String[] {"", "x", "-1", "1 ", "1 ab cd", "1 a/b", "1\n2", "99999999999999999999"}) {
            java.nio.file.Files.write(file, bad.getBytes("US-ASCII"));
            try {
                throw new AssertionError("loaded " + store.load());
            } catch (IOException e) {
                assertTrue(e.getMessage(), e.getMessage().contains("holds no cursor"));
            }
        }
    }

    private static String finished(String outcome, String number) {
        return RUNNING.replace("running", "finished").replace("\"outcome\":null", "\"outcome\":\"" + outcome + "\"")
                .replace("\"case\":null", "\"case\":" + number);
    }

    private static LaneUnreachable unreachable(PaymentSession session) throws Exception {
        try {
            throw new AssertionError("ended: " + session.run());
        } catch (LaneUnreachable e) {
            return e;
        }
    }

    private static LaneProblem refused(PaymentSession session) throws Exception {
        try {
            throw new AssertionError("ended: " + session.run());
        } catch (LaneProblem e) {
            return e;
        }
    }
}
