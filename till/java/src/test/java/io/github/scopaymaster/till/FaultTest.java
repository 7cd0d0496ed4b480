package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import io.github.scopaymaster.till.FaultyProxy.Fault;
import java.util.ArrayList;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.ClassRule;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.RuleChain;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.junit.runners.Parameterized.Parameters;

/** Every request of a payment meets every fault of the wire once: the payment ends as if nothing had been. */
@RunWith(Parameterized.class)
public class FaultTest {
    @ClassRule
    public static final LaneBench LANE = new LaneBench();

    private static int numbers;

    /** The requests of a payment, by their first line. */
    enum Kind {
        BEGIN("^PUT "),
        EVENTS("^GET /v1/payments/[^/]+/events"),
        PAYMENT("^GET /v1/payments/[^/]+ HTTP"),
        CANCEL("^POST /v1/payments/[^/]+/cancel"),
        CHOICE("^POST /v1/payments/[^/]+/choice"),
        TAKEN("^POST /v1/payments/[^/]+/taken"),
        NOT_ACCEPTED("^POST /v1/payments/[^/]+/not_accepted");

        private final String line;

        Kind(String line) {
            this.line = line;
        }
    }

    /** Every kind with every fault. */
    @Parameters(name = "{0} {1}")
    public static List<Object[]> all() {
        List<Object[]> pairs = new ArrayList<>();
        for (Kind kind : Kind.values()) {
            for (Fault fault : Fault.values()) {
                pairs.add(new Object[] {kind, fault});
            }
        }
        return pairs;
    }

    private final FaultyProxy wire = new FaultyProxy();

    @Rule
    public final RuleChain rules = RuleChain.outerRule(new NoThreadLeft()).around(wire);

    private final Kind kind;
    private final Fault fault;
    private final String id = "till-" + ++numbers;
    private final Recorder heard = new Recorder();

    public FaultTest(Kind kind, Fault fault) {
        this.kind = kind;
        this.fault = fault;
    }

    @Before
    public void connect() {
        wire.to(LANE.port());
        LANE.online();
    }

    @After
    public void theLaneIsFree() throws Exception {
        LANE.free();
    }

    @Test
    public void thePaymentEndsAsItShould() throws Exception {
        boolean isCancelled = kind == Kind.CANCEL || kind == Kind.CHOICE;
        LANE.use(isCancelled ? "leaves" : "pays after=0.5");
        long payments = LANE.payments();
        long cancels = LANE.cancels();
        long paid = LANE.paidKopecks();
        wire.fault(fault, kind.line, 1);
        PaymentSession session =
                PaymentSession.begin(LANE.client(wire.url()), id, Order.of("A-" + numbers, 25_300), heard);
        if (kind == Kind.CANCEL) {
            heard.onPhase("waiting", session::cancel);
        } else if (kind == Kind.CHOICE) {
            heard.onPhase("waiting", LANE::offline);
            heard.onPhase("asking", () -> {
                LANE.online();
                session.choose(Choice.CANCEL);
            });
        }
        Payment payment = session.run();
        assertEquals(isCancelled ? Outcome.UNPAID : Outcome.PAID, payment.getOutcome());
        if (kind == Kind.NOT_ACCEPTED) {
            assertNotNull(session.notAccepted("the till's disk is full", 20_000).getCase());
            assertFalse(LANE.client(LANE.url()).payment(id).mayReleaseGoods());
        } else {
            assertTrue(session.taken(20_000).isTaken());
        }
        assertEquals("the fault was met", 1, wire.met());
        assertEquals(payments + 1, LANE.payments());
        assertEquals(cancels + (isCancelled ? 1 : 0), LANE.cancels());
        assertEquals(paid + (isCancelled ? 0 : 25_300), LANE.paidKopecks());
        assertTrue(heard.links.toString(), heard.links.size() <= 1);
        assertEquals(isNoticed() ? "[lost, restored]" : "[]", heard.connection.toString());
    }

    private boolean isNoticed() {
        boolean isAfterTheRun = kind == Kind.TAKEN || kind == Kind.NOT_ACCEPTED;
        boolean isRead = kind == Kind.EVENTS || kind == Kind.PAYMENT;
        boolean isEndBeforeTheAnswer = fault == Fault.DROP || fault == Fault.LOSE_ANSWER
                || fault == Fault.DELAY && kind == Kind.EVENTS;
        // HttpURLConnection reads again by itself when the connection ends before the answer; it must not do so with a PUT
        return fault != Fault.DOUBLE && !isAfterTheRun && !(isRead && isEndBeforeTheAnswer);
    }
}
