package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Some events in a row, and where to read on. Immutable. */
public final class EventPage {
    private final List<LaneEvent> events;
    private final long nextAfter;
    private final String journal;

    EventPage(JsonObject json) {
        List<LaneEvent> found = new ArrayList<>();
        for (JsonObject event : json.objects("events")) {
            found.add(new LaneEvent(event));
        }
        events = Collections.unmodifiableList(found);
        nextAfter = json.integer("next_after");
        String id = json.textOrNull("journal");
        journal = id == null ? "" : id;
        if (!EventCursor.isJournal(journal)) {
            throw new JsonException("'journal' must be an id");
        }
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

    /**
     * The journal that the events are of. Another one has other rows, and a cursor of this one means nothing there.
     *
     * @return its id; empty if the service does not say
     */
    public String getJournal() {
        return journal;
    }
}
