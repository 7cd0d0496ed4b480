package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.After;
import org.junit.Before;
import org.junit.ClassRule;
import org.junit.Rule;
import org.junit.Test;

/** Either side dies, hangs, or is not there yet. */
public class RestartTest {
    @ClassRule
    public static final LaneBench LANE = new LaneBench();

    private static int numbers;

    @Rule
    public final NoThreadLeft noThreadLeft = new NoThreadLeft();

    private final String id = "till-" + ++numbers;
    private final Order order = Order.of("A-" + numbers, 25_300);
    private final LaneClient client = LANE.client(LANE.url());
    private final Recorder heard = new Recorder();
    private long payments;
    private long paid;

    @Before
    public void remember() {
        LANE.use("leaves");
        LANE.online();
        payments = LANE.payments();
        paid = LANE.paidKopecks();
    }

    @After
    public void theLaneIsFree() throws Exception {
        LANE.free();
    }

    private PaymentSession session() {
        return PaymentSession.begin(client, id, order, heard);
    }

    /** The lane's service is killed in each phase and started again: the till gets the outcome, and it fits the money. */
    @Test
    public void theServiceIsKilledInEachPhase() throws Exception {
        for (String phase : new String[] {"creating", "waiting", "asking", "cancelling"}) {
            for (String customer : new String[] {"leaves", "pays after=0.6"}) {
                String one = id + "-" + phase + customer.length();
                LANE.use(customer);
                LANE.online();
                long paidBefore = LANE.paidKopecks();
                Recorder listener = new Recorder();
                PaymentSession session = PaymentSession.begin(client, one, Order.of(one, 100), listener);
                Thread power = new Thread(() -> {
                    LANE.kill();
                    pause(100);
                    LANE.start();
                    LANE.online();
                });
                listener.onPhase(phase, power::start);
                if ("asking".equals(phase)) {
                    listener.onPhase("waiting", LANE::offline);
                } else if ("cancelling".equals(phase)) {
                    listener.onPhase("waiting", session::cancel);
                }
                Payment payment = session.run();
                power.join();
                long money = LANE.paidKopecks() - paidBefore;
                String what = one + ": " + payment + ", phases " + listener.phases + ", money " + money;
                assertFalse(what, payment.mayReleaseGoods() && money == 0);
                assertFalse(what, payment.getOutcome() != Outcome.PAID && money > 0 && payment.getCase() == null);
                if (payment.getOutcome() == Outcome.PAID) {
                    assertTrue(session.taken(10_000).isTaken());
                }
                LANE.free();
            }
        }
    }

    @Test
    public void theServiceIsKilledBeforeTheOutcomeIsTaken() throws Exception {
        LANE.use("pays after=0.3");
        PaymentSession session = session();
        assertTrue(session.run().mayReleaseGoods());
        LANE.kill();
        AtomicReference<Object> end = new AtomicReference<>();
        Thread till = new Thread(() -> {
            try {
                end.set(session.taken(30_000));
            } catch (LaneException | InterruptedException e) {
                end.set(e);
            }
        });
        till.start();
        Thread.sleep(600);
        LANE.start();
        till.join();
        assertTrue(String.valueOf(end.get()), end.get() instanceof Payment && ((Payment) end.get()).isTaken());
        assertNotNull("goods were not reported before the restart", ((Payment) end.get()).getCase());
    }

    @Test
    public void theServiceIsStoppedOrderlyAndStartedAgain() throws Exception {
        heard.onPhase("waiting", () -> {
            LANE.stop();
            LANE.start();
        });
        Payment payment = session().run();
        assertEquals(Outcome.UNPAID, payment.getOutcome());
        assertEquals(paid, LANE.paidKopecks());
    }

    @Test
    public void theServiceHangsForAWhile() throws Exception {
        LANE.use("pays after=0.5");
        heard.onPhase("waiting", () -> {
            LANE.freeze();
            new Thread(() -> {
                pause(8_000);
                LANE.thaw();
            }).start();
        });
        assertEquals(Outcome.PAID, session().run().getOutcome());
        assertEquals(Arrays.asList("lost", "restored"), heard.connection);
    }

    @Test
    public void theServiceHangsForGood() throws Exception {
        heard.onPhase("waiting", LANE::freeze);
        long start = System.nanoTime();
        try {
            fail("" + session().silenceMs(2_000).run());
        } catch (LaneUnreachable e) {
            assertTrue(e.mayHaveArrived());
            assertTrue(e.getMessage(), e.getMessage().startsWith("the outcome of payment " + id + " is unknown: "));
        } finally {
            LANE.thaw();
        }
        assertTrue(System.nanoTime() - start < 15_000_000_000L);
        PaymentSession again = PaymentSession.resume(client, id, heard);
        again.cancel();
        assertEquals(Outcome.UNPAID, again.run().getOutcome());
    }

    @Test
    public void theServiceIsNotThere() throws Exception {
        LANE.stop();
        try {
            fail("" + session().beginWithinMs(1_000).run());
        } catch (LaneUnreachable e) {
            assertFalse(e.mayHaveArrived());
        } finally {
            LANE.start();
        }
        assertEquals(payments, LANE.payments());
    }

    @Test
    public void theServiceComesInTime() throws Exception {
        LANE.use("pays after=0.3");
        LANE.kill();
        new Thread(() -> {
            pause(1_000);
            LANE.start();
        }).start();
        assertEquals(Outcome.PAID, session().run().getOutcome());
        assertEquals(Arrays.asList("lost", "restored"), heard.connection);
    }

    @Test
    public void aCancelKeepsAPaymentFromBeingBegun() throws Exception {
        PaymentSession session = session();
        session.cancel();
        try {
            fail("" + session.run());
        } catch (LaneUnreachable e) {
            assertFalse(e.mayHaveArrived());
        }
        LANE.kill();
        PaymentSession waiting = PaymentSession.begin(client, id, order, new Recorder() {
            @Override
            public void connectionLost(LaneUnreachable why) {
                waitingSession.get().cancel();
            }
        });
        waitingSession.set(waiting);
        long start = System.nanoTime();
        try {
            fail("" + waiting.run());
        } catch (LaneUnreachable e) {
            assertFalse(e.mayHaveArrived());
        } finally {
            LANE.start();
        }
        assertTrue(System.nanoTime() - start < 5_000_000_000L);
        assertEquals(payments, LANE.payments());
    }

    private final AtomicReference<PaymentSession> waitingSession = new AtomicReference<>();

    /** The till dies in mid-payment; after its restart it finds the payment by its id, with the code to show. */
    @Test
    public void theTillRestarts() throws Exception {
        AtomicReference<Object> end = new AtomicReference<>();
        Thread till = new Thread(() -> {
            try {
                end.set(session().run());
            } catch (LaneException | InterruptedException e) {
                end.set(e);
            }
        });
        heard.onPhase("waiting", till::interrupt);
        till.start();
        till.join();
        assertTrue(String.valueOf(end.get()), end.get() instanceof InterruptedException);
        Recorder after = new Recorder();
        PaymentSession again = PaymentSession.resume(client, id, after);
        after.onPhase("waiting", () -> {
            if (after.links.isEmpty()) {
                after.onPhase("waiting", again::cancel);
            } else {
                again.cancel();
            }
        });
        assertEquals(Outcome.UNPAID, again.run().getOutcome());
        assertEquals(heard.links, after.links);
        assertEquals(payments + 1, LANE.payments());
        assertEquals(Outcome.UNPAID, PaymentSession.resume(client, id, new Recorder()).run().getOutcome());
    }

    @Test
    public void aListenerThatFailsStopsNoPayment() throws Exception {
        LANE.use("pays after=0.3");
        Payment payment = PaymentSession.begin(client, id, order, new PaymentSession.Listener() {
            @Override
            public void changed(Payment now, String link) {
                throw new IllegalStateException("the form is gone (this trace is expected)");
            }
        }).run();
        assertEquals(Outcome.PAID, payment.getOutcome());
    }

    @Test
    public void anEventFollowerGoesOnAfterARestartOfTheService() throws Exception {
        EventFollower follower = new EventFollower(client, CursorStore.inMemory());
        LANE.use("pays");
        session().run();
        int[] outcomes = new int[1];
        EventFollower.Handler count = event -> {
            if (id.equals(event.getPayment()) && "outcome_reached".equals(event.getType())) {
                outcomes[0]++;
            }
        };
        while (follower.poll(0, count) > 0) {
            continue;
        }
        LANE.kill();
        try {
            follower.poll(0, count);
            fail();
        } catch (LaneUnreachable e) {
            assertFalse(e.mayHaveArrived());
        }
        LANE.start();
        while (follower.poll(1, count) > 0) {
            continue;
        }
        assertEquals(1, outcomes[0]);
    }

    private static void pause(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
