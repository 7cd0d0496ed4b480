package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.Locale;
import org.junit.ClassRule;
import org.junit.Test;

/** A till that runs for months: what is left in its process after many payments. */
public class HundredPaymentsTest {
    private static final int PAYMENTS = 100;

    @ClassRule
    public static final LaneBench LANE = new LaneBench();

    @Test
    public void nothingIsLeft() throws Exception {
        LANE.use("pays");
        LaneClient client = LaneClient.at(LANE.url()).tokenFile(LANE.tokenFile()).build();
        pay(client, "warm-up");
        long before = usedBytes();
        int threads = Thread.activeCount();
        int mostThreads = 0;
        for (int i = 0; i < PAYMENTS; i++) {
            pay(client, "till-" + i);
            mostThreads = Math.max(mostThreads, Thread.activeCount());
        }
        long grown = usedBytes() - before;
        System.out.println(String.format(Locale.ROOT, "%d payments: %d threads before, %d after each; heap %.0f KiB, grown by"
                + " %.1f KiB", PAYMENTS, threads, mostThreads, before / 1024.0, grown / 1024.0));
        assertEquals(threads, mostThreads);
        assertTrue("grown by " + grown + " bytes", grown < 100 * 1024);
    }

    private static void pay(LaneClient client, String id) throws Exception {
        PaymentSession session = PaymentSession.begin(client, id, Order.of("order-" + id, 100), new Recorder());
        assertTrue(session.run().mayReleaseGoods());
        assertTrue(session.taken(10_000).isTaken());
    }

    private static long usedBytes() throws InterruptedException {
        for (int i = 0; i < 5; i++) {
            System.gc();
            Thread.sleep(50);
        }
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }
}
