package io.github.scopaymaster.till;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs the test classes of a folder, or those named (`Class` or `Class#method`), and tells of each test. */
public final class RunTests {
    private RunTests() {
    }

    public static void main(String[] args) throws Exception {
        List<String> names = new ArrayList<>(Arrays.asList(args).subList(1, args.length));
        if (names.isEmpty()) {
            for (String file : new File(args[0], "io/github/scopaymaster/till").list()) {
                if (file.endsWith("Test.class")) {
                    names.add(file.substring(0, file.length() - ".class".length()));
                }
            }
            names.sort(null);
        }
        Logger log = Logger.getLogger(PaymentSession.class.getName()); // kept, or its level is forgotten
        log.setLevel(Level.OFF);
        JUnitCore core = new JUnitCore();
        Report report = new Report();
        core.addListener(report);
        for (String name : names) {
            String[] parts = name.split("#", 2);
            Class<?> one = Class.forName("io.github.scopaymaster.till." + parts[0]);
            core.run(parts.length == 1 ? Request.aClass(one) : Request.method(one, parts[1]));
        }
        for (Failure failure : report.failures) {
            System.out.println("\nFAILED " + name(failure.getDescription()) + "\n" + failure.getTrimmedTrace());
        }
        int failed = report.failures.size();
        int passed = report.passed;
        System.out.println("java-test: " + passed + " passed, " + failed + " failed");
        System.exit(failed > 0 || passed == 0 ? 1 : 0);
    }

    private static String name(Description test) {
        return (test.getTestClass() == null ? "" : test.getTestClass().getSimpleName() + ".") + test.getMethodName();
    }

    private static final class Report extends RunListener {
        final List<Failure> failures = new ArrayList<>();
        int passed;
        private long start;
        private boolean isFailed;

        @Override
        public void testStarted(Description test) {
            start = System.nanoTime();
            isFailed = false;
        }

        @Override
        public void testFailure(Failure failure) {
            isFailed = true;
            failures.add(failure);
            System.out.println(name(failure.getDescription()) + ": " + failure.getMessage());
        }

        @Override
        public void testFinished(Description test) {
            passed += isFailed ? 0 : 1;
            double s = (System.nanoTime() - start) / 1e9;
            System.out.println(String.format(java.util.Locale.ROOT, "%s %5.1f s  %s", isFailed ? "FAILED" : "ok    ", s, name(test)));
        }
    }
}
