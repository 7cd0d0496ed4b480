package sco.set10;

import java.awt.EventQueue;
import org.slf4j.Logger;
import ru.crystals.pos.spi.POSInfo;
import ru.crystals.pos.spi.ResBundle;
import ru.crystals.pos.spi.equipment.CustomerDisplay;
import ru.crystals.pos.spi.ui.UIForms;

/** What the till gives to its plugins, and its UI thread. */
final class Host {
    final POSInfo pos;
    final UIForms forms;
    final CustomerDisplay display;
    final Logger log;
    private final ResBundle strings;

    Host(POSInfo pos, UIForms forms, CustomerDisplay display, ResBundle strings, Logger log) {
        this.pos = pos;
        this.forms = forms;
        this.display = display;
        this.strings = strings;
        this.log = log;
    }

    String text(String key) {
        return strings.getString(key);
    }

    /** The till's language, as the lane names it. */
    String language() {
        return "en".equals(text("language")) ? "en" : "ru";
    }

    /** Run {@code step} in the till's UI thread: now if this is it, else after what waits there. Never waits for it. */
    static void inUi(Runnable step) {
        if (EventQueue.isDispatchThread()) {
            step.run();
        } else {
            EventQueue.invokeLater(step);
        }
    }

    /** Run {@code work} in a thread of its own that ends with it and never keeps the till from stopping. */
    static void inBackground(String name, Runnable work) {
        Thread thread = new Thread(work, "sco-paymaster-" + name);
        thread.setDaemon(true);
        thread.start();
    }
}
