package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.ClassRule;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Each request against the real service, and every outcome of a payment. */
public class ServiceTest {
    @ClassRule
    public static final LaneBench LANE = new LaneBench();

    private static int numbers;

    @Rule
    public final NoThreadLeft noThreadLeft = new NoThreadLeft();
    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private final String id = "till-" + ++numbers;
    private final Order order = Order.of("A-" + numbers, 25_300);
    private final LaneClient client = LANE.client(LANE.url());
    private final Recorder heard = new Recorder();

    @Before
    public void customerPays() {
        LANE.use("pays after=0.3");
        LANE.online();
    }

    @After
    public void theLaneIsFree() throws Exception {
        LANE.free();
    }

    private PaymentSession session() {
        return PaymentSession.begin(client, id, order, heard);
    }

    @Test
    public void paid() throws Exception {
        Payment payment = session().run();
        assertEquals(Outcome.PAID, payment.getOutcome());
        assertTrue(payment.mayReleaseGoods());
        assertEquals(25_300, payment.getAmountKopecks());
        assertEquals(id, payment.getId());
        assertEquals("A-" + numbers, payment.getOrder());
        assertNotNull(payment.getPaymentId());
        assertFalse(payment.isTaken());
        assertTrue(heard.links.toString(), heard.links.size() == 1);
        assertTrue(heard.types.toString(), heard.types.contains("link_accepted"));
        Payment taken = client.taken(id);
        assertTrue(taken.isTaken() && taken.mayReleaseGoods());
        assertTrue(client.taken(id).isTaken());
        assertEquals(Outcome.PAID, client.cancel(id).getOutcome());
        assertEquals(1, client.paymentsOfOrder(payment.getOrder()).size());
    }

    @Test
    public void declined() throws Exception {
        LANE.use("declines after=0.3");
        Payment payment = session().run();
        assertEquals(Outcome.UNPAID, payment.getOutcome());
        assertFalse(payment.mayReleaseGoods());
        assertEquals("declined", payment.getReason());
    }

    @Test
    public void cancelledByTheCustomer() throws Exception {
        LANE.use("leaves");
        long before = LANE.cancels();
        PaymentSession session = session();
        heard.onPhase("waiting", session::cancel);
        Payment payment = session.run();
        assertEquals(Outcome.UNPAID, payment.getOutcome());
        assertEquals("customer", payment.getReason());
        assertEquals(before + 1, LANE.cancels());
    }

    @Test
    public void unknown() throws Exception {
        LANE.use("leaves");
        PaymentSession session = session();
        heard.onPhase("waiting", () -> {
            LANE.offline();
            session.cancel();
        });
        Payment payment = session.run();
        assertEquals(Outcome.UNKNOWN, payment.getOutcome());
        assertNotNull(payment.getCase());
        assertFalse(payment.mayReleaseGoods());
    }

    @Test
    public void notPresented() throws Exception {
        LANE.use("token-replaced");
        Payment payment = session().run();
        assertEquals(Outcome.NOT_PRESENTED, payment.getOutcome());
        assertEquals("not_created", payment.getReason());
        assertFalse(payment.isPresented());
    }

    @Test
    public void theDialogIsAnswered() throws Exception {
        LANE.use("leaves");
        PaymentSession session = session();
        List<Choice> answers = new ArrayList<>(Arrays.asList(Choice.RETRY));
        heard.onPhase("waiting", LANE::offline);
        heard.onPhase("asking", () -> {
            LANE.online();
            session.choose(answers.remove(0));
            LANE.use("pays-late");
            heard.onPhase("waiting", () -> session.cancel());
        });
        Payment payment = session.run();
        assertTrue(heard.phases.toString(), heard.phases.contains("asking"));
        assertEquals(Outcome.UNPAID, payment.getOutcome());
        assertTrue(answers.isEmpty());
    }

    @Test
    public void anOrderIsPaidOnce() throws Exception {
        session().run();
        client.taken(id);
        try {
            client.begin(id + "-again", order);
            fail();
        } catch (LaneProblem e) {
            assertEquals("order_paid", e.getCode());
            assertFalse(e.getDetail().isEmpty());
            assertFalse(e.getDetailRu().equals(e.getDetail()));
        }
        try {
            client.begin(id, Order.of("A-" + numbers, 1));
            fail();
        } catch (LaneProblem e) {
            assertEquals("id_conflict", e.getCode());
        }
        assertEquals(Outcome.PAID, client.begin(id, order).getOutcome());
    }

    @Test
    public void twoLegsOfAnOrder() throws Exception {
        Payment first = PaymentSession.begin(client, id, order.leg(10_000), heard).run();
        assertEquals(Outcome.PAID, first.getOutcome());
        client.taken(id);
        Payment second = PaymentSession.begin(
                client, id + "-2", order.tenderedBySbp(10_000).tenderedElsewhere(5_000), heard).run();
        assertEquals(10_300, second.getAmountKopecks());
        client.taken(id + "-2");
        assertEquals(2, client.paymentsOfOrder("A-" + numbers).size());
    }

    @Test
    public void aLaneTakesOnePaymentAtATime() throws Exception {
        LANE.use("leaves");
        client.begin(id, order);
        try {
            client.begin(id + "-other", Order.of("B-" + numbers, 100));
            fail();
        } catch (LaneProblem e) {
            assertEquals("lane_busy", e.getCode());
            assertTrue(e.isRetry());
        }
        client.cancel(id);
        LANE.use("pays"); // whoever comes next
        Payment payment = PaymentSession.begin(client, id + "-other", Order.of("B-" + numbers, 100), heard)
                .beginWithinMs(15_000).run(); // waits until the lane is free
        assertNotNull(payment.getOutcome());
    }

    @Test
    public void aPaidOutcomeThatTheTillCannotStoreIsACase() throws Exception {
        session().run();
        Payment payment = client.notAccepted(id, "чек закрыт: «InvalidPaymentException»");
        assertNotNull(payment.getCase());
        assertFalse(payment.mayReleaseGoods());
        ScreenState screen = client.screen(0, 0);
        for (int tries = 0; tries < 20 && !"attendant".equals(screen.getView()); tries++) {
            screen = client.screen(screen.getVersion(), 1);
        }
        assertEquals("attendant", screen.getView());
        assertTrue(client.lane().getOpenCases() > 0);
    }

    @Test
    public void whatIsNotThereIsSaidToBeNotThere() throws Exception {
        try {
            client.payment("never-begun");
            fail();
        } catch (LaneProblem e) {
            assertEquals("no_such_payment", e.getCode());
            assertEquals(404, e.getStatus());
        }
        try {
            PaymentSession.resume(client, "never-begun", heard).run();
            fail();
        } catch (LaneProblem e) {
            assertEquals("no_such_payment", e.getCode());
        }
        assertTrue(client.paymentsOfOrder("never-begun").isEmpty());
    }

    @Test
    public void aWrongTokenIsRefusedForEveryKindOfRequest() throws Exception {
        Path wrong = folder.newFile().toPath();
        Files.write(wrong, "wrong".getBytes("US-ASCII"));
        LaneClient stranger = LaneClient.at(LANE.url()).tokenFile(wrong).build();
        for (int kind = 0; kind < 3; kind++) {
            try {
                if (kind == 0) {
                    stranger.payment(id);
                } else if (kind == 1) {
                    stranger.begin(id, order);
                } else {
                    stranger.taken(id);
                }
                fail();
            } catch (LaneProblem e) {
                assertEquals("unauthorized", e.getCode());
            }
        }
    }

    @Test
    public void theScreenFollowsThePayment() throws Exception {
        LANE.use("leaves");
        client.begin(id, order);
        ScreenState screen = client.screen(0, 0);
        while (!"pay".equals(screen.getView())) {
            screen = client.screen(screen.getVersion(), 1);
        }
        assertEquals(id, screen.getPayment());
        assertNotNull(screen.getLink());
        assertFalse(screen.getText("ru").getHeadline().isEmpty());
        assertFalse(screen.getText("en").getHeadline().isEmpty());
        assertTrue(screen.getExpiresAtMs() > screen.getNowMs());
        assertNull(screen.getCase());
        assertEquals("ru", screen.getLanguage());
        client.cancel(id);
        while ("pay".equals(screen.getView())) {
            screen = client.screen(screen.getVersion(), 1);
        }
    }

    @Test
    public void theLaneTellsOfItself() throws Exception {
        LaneStatus lane = client.lane();
        assertEquals("KSO-1", lane.getLaneId());
        assertEquals("4:3", lane.getProfile());
        assertEquals(1, lane.getMode());
        assertTrue(lane.getStartedAtMs() > 0);
        assertEquals("printer", lane.getDevices().get(0).getKind());
    }

    @Test
    public void receiptsArePrintedOncePerId() throws Exception {
        assertTrue(client.printReceipt("receipt-" + numbers, Arrays.asList("Чек № 1", "ИТОГО 253,00"), true));
        try {
            client.printReceipt("receipt-" + numbers, Arrays.asList("Чек № 1", "ИТОГО 253,00"), true);
            fail();
        } catch (LaneProblem e) {
            assertEquals("printed_before", e.getCode());
        }
        try {
            client.printAgain("never-begun");
            fail();
        } catch (LaneProblem e) {
            assertEquals("no_such_payment", e.getCode());
        }
    }

    @Test
    public void eventsAreReadOnceOverRestartsOfTheTill() throws Exception {
        FileCursorStore store = new FileCursorStore(folder.getRoot().toPath().resolve("cursor"));
        store.save(new EventCursor(client.lane().getJournalLastSeq(), ""));
        session().run();
        client.taken(id);
        List<String> types = new ArrayList<>();
        for (String before = ""; !types.contains("outcome_taken");) {
            new EventFollower(client, store).poll(2, event -> {
                assertEquals(id, event.getPayment());
                types.add(event.getType());
            });
            assertFalse("no progress", before.equals(types.toString()));
            before = types.toString();
        }
        assertEquals(1, Collections.frequency(types, "outcome_reached"));
        assertEquals(0, new EventFollower(client, store).poll(0, event -> fail(event.toString())));
    }

    @Test
    public void anEventThatCouldNotBeHandledComesAgain() throws Exception {
        CursorStore store = CursorStore.inMemory();
        store.save(new EventCursor(client.lane().getJournalLastSeq(), ""));
        session().run();
        EventFollower follower = new EventFollower(client, store);
        List<Long> handled = new ArrayList<>();
        try {
            follower.poll(2, event -> {
                if ("link_accepted".equals(event.getType())) {
                    throw new java.io.IOException("disk full");
                }
                handled.add(event.getSeq());
            });
            fail();
        } catch (java.io.IOException e) {
            assertEquals("disk full", e.getMessage());
        }
        assertFalse(handled.isEmpty());
        List<String> again = new ArrayList<>();
        follower.poll(2, event -> {
            assertTrue(event.getSeq() >= handled.get(handled.size() - 1));
            again.add(event.getType());
        });
        assertTrue(again.toString(), again.contains("link_accepted"));
    }

    @Test
    public void aCursorOfAnotherJournalStartsAnew() throws Exception {
        CursorStore store = CursorStore.inMemory();
        store.save(new EventCursor(1_000_000, ""));
        List<Long> gaps = new ArrayList<>();
        int handled = new EventFollower(client, store).poll(0, new EventFollower.Handler() {
            @Override
            public void event(LaneEvent event) {
            }

            @Override
            public void gap(long after) {
                gaps.add(after);
            }
        });
        assertEquals(Arrays.asList(0L), gaps);
        assertFalse(store.load().getJournal().isEmpty());
        assertTrue(handled >= 0 && store.load().getAfter() < 1_000_000);
    }
}
