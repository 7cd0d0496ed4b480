package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** A listener that remembers, and acts when a phase is shown for the first time. */
class Recorder implements PaymentSession.Listener {
    final List<String> phases = Collections.synchronizedList(new ArrayList<>());
    final List<String> types = Collections.synchronizedList(new ArrayList<>());
    final Set<String> links = Collections.synchronizedSet(new TreeSet<>());
    final List<String> connection = Collections.synchronizedList(new ArrayList<>());
    private final Map<String, Runnable> acts = Collections.synchronizedMap(new HashMap<>());

    void onPhase(String phase, Runnable act) {
        acts.put(phase, act);
    }

    @Override
    public void changed(Payment payment, String link) {
        phases.add(payment.getPhase());
        if (link != null) {
            links.add(link);
        }
        Runnable act = acts.remove(payment.getPhase());
        if (act != null) {
            act.run();
        }
    }

    @Override
    public void event(LaneEvent event) {
        types.add(event.getType());
    }

    @Override
    public void connectionLost(LaneUnreachable why) {
        connection.add("lost");
    }

    @Override
    public void connectionRestored() {
        connection.add("restored");
    }
}
