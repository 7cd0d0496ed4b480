package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import javax.swing.SwingUtilities;
import org.junit.ClassRule;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The examples of docs/guide/java.md, as a reader compiles and runs them. */
public class GuideTest {
    @ClassRule
    public static final LaneBench LANE = new LaneBench();

    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private String printed(Runnable work) throws Exception {
        PrintStream before = System.out;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        System.setOut(new PrintStream(out, true, "UTF-8"));
        try {
            work.run();
        } finally {
            System.setOut(before);
        }
        return out.toString("UTF-8");
    }

    @Test
    public void onePayment() throws Exception {
        String[] args = {LANE.url(), LANE.tokenFile().toString()};
        Runnable till = () -> call("Till", "main", new Class<?>[] {String[].class}, (Object) args);
        LANE.use("pays after=0.3");
        String paid = printed(till);
        assertTrue(paid, paid.contains("waiting: https://") && paid.endsWith("release the goods, print the fiscal receipt\nPAID, case null\n"));
        String again = printed(till);
        assertTrue(again, again.startsWith("order_paid: "));
    }

    @Test
    public void afterARestart() throws Exception {
        LANE.use("pays");
        LaneClient lane = LANE.client(LANE.url());
        lane.begin("kept", Order.of("guide-2", 100));
        Class<?>[] types = {LaneClient.class, String.class};
        assertEquals("PAID: store it, then taken", call("AfterRestart", "find", types, lane, "kept"));
        assertEquals("it was never begun", call("AfterRestart", "find", types, lane, "another"));
    }

    @Test
    public void allEvents() throws Exception {
        LANE.use("pays");
        LaneClient lane = LANE.client(LANE.url());
        PaymentSession.begin(lane, "logged", Order.of("guide-3", 100), new Recorder()).run();
        Path cursor = folder.getRoot().toPath().resolve("cursor");
        Runnable log = (Runnable) Class.forName("LaneLog").getConstructor(LaneClient.class, Path.class)
                .newInstance(lane, cursor);
        String events = printed(() -> {
            Thread thread = new Thread(log);
            thread.start();
            try {
                Thread.sleep(1_000);
                thread.interrupt();
                thread.join();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        assertTrue(events, events.contains(" outcome_reached\n"));
        assertTrue(new FileCursorStore(cursor).load().getAfter() > 0);
    }

    @Test
    public void theTillsScreen() throws Exception {
        LANE.use("leaves");
        List<String> shown = Collections.synchronizedList(new ArrayList<>());
        Class<?> forms = Class.forName("Screen$Forms");
        Object fake = Proxy.newProxyInstance(forms.getClassLoader(), new Class<?>[] {forms}, (self, method, args) -> {
            shown.add(method.getName());
            if ("code".equals(method.getName())) {
                ((Runnable) args[1]).run();
            }
            return null;
        });
        Class<?> screen = Class.forName("Screen");
        PaymentSession.Listener listener = (PaymentSession.Listener) screen.getConstructor(forms).newInstance(fake);
        PaymentSession session =
                PaymentSession.begin(LANE.client(LANE.url()), "shown", Order.of("guide-4", 100), listener);
        screen.getMethod("bind", PaymentSession.class).invoke(listener, session);
        assertEquals(Outcome.UNPAID, session.run().getOutcome());
        SwingUtilities.invokeAndWait(() -> { });
        assertTrue(shown.toString(), shown.contains("code") && shown.contains("pleaseWait"));
    }

    private static Object call(String name, String method, Class<?>[] types, Object... args) {
        try {
            return Class.forName(name).getMethod(method, types).invoke(null, args);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }
}
