package sco.testtill;

import java.awt.EventQueue;

/** Looks at the UI thread again and again: the plugin must neither wait nor read nor write in it. */
final class UiWatch {
    private static final int EVERY_MS = 5;

    private UiWatch() {}

    static void start(Wire wire, String pluginPackage) {
        Thread[] ui = new Thread[1];
        try {
            EventQueue.invokeAndWait(() -> ui[0] = Thread.currentThread());
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
        Thread watch = new Thread(() -> {
            while (true) {
                String found = look(ui[0].getStackTrace(), pluginPackage);
                if (found != null) {
                    wire.send("ui_blocked", "where", found);
                }
                try {
                    Thread.sleep(EVERY_MS);
                } catch (InterruptedException end) {
                    return;
                }
            }
        }, "test-till-watch");
        watch.setDaemon(true);
        watch.start();
    }

    /** Where the plugin waits or does input or output, if it is the plugin that does. */
    private static String look(StackTraceElement[] stack, String pluginPackage) {
        boolean waits = false;
        for (StackTraceElement frame : stack) {
            String at = frame.getClassName() + "." + frame.getMethodName();
            if (at.startsWith("sco.testtill.") || at.contains("ClassLoader.")) {
                return null; // the till itself, or Java that reads a class
            }
            waits |= at.matches("java\\.net\\.\\w*(Socket|InetAddress|URLConnection).*")
                    || at.startsWith("sun.net.www.") || at.startsWith("sun.nio.ch.")
                    || at.equals("java.lang.Object.wait") || at.equals("java.lang.Thread.sleep")
                    || at.endsWith("Unsafe.park");
            if (waits && at.startsWith(pluginPackage)) {
                return at + ":" + frame.getLineNumber() + " in " + stack[0];
            }
        }
        return null;
    }
}
