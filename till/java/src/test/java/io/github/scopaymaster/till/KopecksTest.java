package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.fail;

import java.math.BigDecimal;
import org.junit.Test;

public class KopecksTest {
    @Test
    public void conversionsAreExact() {
        for (String roubles : new String[] {"0", "0.01", "10", "10.5", "10.50", "10.5000", "1E+2", "92233720368547758.07"}) {
            long kopecks = Kopecks.fromRoubles(new BigDecimal(roubles));
            assertEquals(0, new BigDecimal(roubles).compareTo(Kopecks.toRoubles(kopecks)));
            assertEquals(2, Kopecks.toRoubles(kopecks).scale());
        }
        assertEquals("-0.05", Kopecks.toRoubles(-5).toString());
        assertEquals(1050, Kopecks.fromRoubles(new BigDecimal("10.5")));
    }

    @Test
    public void fractionsOfKopecksAreRefused() {
        for (String roubles : new String[] {"0.001", "10.505", "92233720368547758.08", "1E+18"}) {
            try {
                fail("converted: " + Kopecks.fromRoubles(new BigDecimal(roubles)));
            } catch (ArithmeticException e) {
                assertEquals("an amount must be whole kopecks and fit in a long, found " + roubles + " roubles",
                        e.getMessage());
            }
        }
    }

    @Test
    public void anOrderTellsWhatThisPaymentTakes() {
        Order order = Order.of("7-2-15-301", new BigDecimal("1250.00")).tenderedElsewhere(25_000).tenderedBySbp(20_000);
        assertEquals(80_000, order.getLegKopecks());
        assertEquals(30_000, order.leg(30_000).getLegKopecks());
        assertEquals("order 7-2-15-301, 300.00 of 1250.00", order.leg(30_000).toString());
        assertEquals("{\"order\":\"7-2-15-301\",\"total_kopecks\":125000,\"leg_kopecks\":30000,"
                + "\"tendered_elsewhere_kopecks\":25000,\"tendered_by_sbp_kopecks\":20000}",
                Json.write(order.leg(30_000).toJson()));
    }

    @Test
    public void senselessOrdersAreRefused() {
        Runnable[] senseless = {() -> Order.of("", 1), () -> Order.of("1", 0), () -> Order.of("1", -1),
            () -> Order.of("1", 5).leg(0), () -> Order.of("1", 5).tenderedElsewhere(-1),
            () -> Order.of("1", 5).tenderedBySbp(-1)};
        for (Runnable one : senseless) {
            try {
                one.run();
            } catch (IllegalArgumentException e) {
                continue;
            }
            fail("accepted");
        }
    }
}
