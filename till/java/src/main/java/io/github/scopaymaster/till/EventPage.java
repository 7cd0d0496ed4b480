package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Some events in a row, and where to read on. Immutable. */
public final class EventPage {
    private final List<LaneEvent> events;
    private final long nextAfter;

    EventPage(JsonObject json) {
        List<LaneEvent> found = new ArrayList<>();
        for (JsonObject event : json.objects("events")) {
            found.add(new LaneEvent(event));
        }
        events = Collections.unmodifiableList(found);
        nextAfter = json.integer("next_after");
    }

    /**
     * The events, oldest first.
     *
     * @return empty if none came in the time waited
     */
    public List<LaneEvent> getEvents() {
        return events;
    }

    /**
     * The cursor for the next page.
     *
     * @return give it as {@code after}
     */
    public long getNextAfter() {
        return nextAfter;
    }
}
