package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;

import java.util.Collections;
import java.util.Set;
import java.util.TreeSet;
import org.junit.rules.ExternalResource;

/** After the test there is no thread that was not there before it. */
public final class NoThreadLeft extends ExternalResource {
    private static final int PATIENCE_MS = 3_000;

    private Set<Thread> before;

    @Override
    protected void before() {
        before = Thread.getAllStackTraces().keySet();
    }

    @Override
    protected void after() {
        long end = System.nanoTime() + PATIENCE_MS * 1_000_000L;
        Set<String> left = left();
        try {
            while (!left.isEmpty() && System.nanoTime() < end) {
                Thread.sleep(20);
                left = left();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        assertEquals("threads left", Collections.emptySet(), left);
    }

    private Set<String> left() {
        Set<String> names = new TreeSet<>();
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.isAlive() && !before.contains(thread)) {
                names.add(thread.getName());
            }
        }
        return names;
    }
}
