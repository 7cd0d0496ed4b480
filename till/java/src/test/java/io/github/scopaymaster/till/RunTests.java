package io.github.scopaymaster.till;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Result;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs the test classes of a folder, or those named, and tells of each test. */
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
        }
        names.sort(null);
        List<Class<?>> classes = new ArrayList<>();
        for (String name : names) {
            classes.add(Class.forName("io.github.scopaymaster.till." + name));
        }
        JUnitCore core = new JUnitCore();
        core.addListener(new Report());
        Result result = core.run(classes.toArray(new Class<?>[0]));
        for (Failure failure : result.getFailures()) {
            System.out.println("\nFAILED " + name(failure.getDescription()) + "\n" + failure.getTrimmedTrace());
        }
        int failed = result.getFailureCount();
        int passed = Math.max(0, result.getRunCount() - failed);
        System.out.println("java-test: " + passed + " passed, " + failed + " failed");
        System.exit(failed > 0 || passed == 0 ? 1 : 0);
    }

    private static String name(Description test) {
        return (test.getTestClass() == null ? "" : test.getTestClass().getSimpleName() + ".") + test.getMethodName();
    }

    private static final class Report extends RunListener {
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
        }

        @Override
        public void testFinished(Description test) {
            double s = (System.nanoTime() - start) / 1e9;
            System.out.println(String.format(java.util.Locale.ROOT, "%s %5.1f s  %s", isFailed ? "FAILED" : "ok    ", s, name(test)));
        }
    }
}
