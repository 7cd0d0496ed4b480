package io.github.scopaymaster.till;

import java.io.IOException;
import java.util.List;

/**
 * Reads the lane's events in order and loses none over restarts of the till or of the service.
 *
 * <p>Each event is handled at least once: a till that dies after handling one and before the cursor is saved gets it again.
 * {@link LaneEvent#getSeq} tells. For use by one thread.
 */
public final class EventFollower {
    /** Handles an event. */
    public interface Handler {
        /**
         * An event.
         *
         * @param event the event
         * @throws IOException it could not be handled: the cursor stays before it, and it comes again
         */
        void event(LaneEvent event) throws IOException;

        /**
         * The events before this are in an archive and cannot be read, or the lane has another journal, which is read from
         * its beginning.
         *
         * @param after the cursor from which reading goes on
         */
        default void gap(long after) {
        }
    }

    private final LaneClient client;
    private final CursorStore store;
    private EventCursor cursor;

    /**
     * A follower that goes on where the store says.
     *
     * @param client the lane
     * @param store where the cursor is kept
     */
    public EventFollower(LaneClient client, CursorStore store) {
        this.client = client;
        this.store = store;
    }

    /**
     * Read one page of events, handle each, save the cursor.
     *
     * @param waitS how long to wait for the first one, 0 to {@link LaneClient#MAX_WAIT_S} seconds
     * @param handler handles them, in this thread
     * @return how many were handled
     * @throws LaneException the service refused, or no usable answer came: the cursor is as it was
     * @throws IOException the cursor could not be loaded or saved, or the handler failed: what was not handled comes again
     * @throws InterruptedException the thread was interrupted
     */
    public int poll(int waitS, Handler handler) throws IOException, InterruptedException {
        if (cursor == null) {
            cursor = store.load();
        }
        EventPage page = read(waitS, handler);
        List<LaneEvent> events = page.getEvents();
        for (LaneEvent event : events) {
            try {
                handler.event(event);
            } catch (IOException | RuntimeException e) {
                // all events of the rows before this one are handled
                keep(new EventCursor(Math.max(cursor.getAfter(), event.getSeq() - 1), page.getJournal()));
                throw e;
            }
        }
        keep(new EventCursor(page.getNextAfter(), page.getJournal()));
        return events.size();
    }

    private EventPage read(int waitS, Handler handler) throws IOException, InterruptedException {
        EventPage page = readable(waitS, handler);
        if (cursor.getJournal().isEmpty() || page.getJournal().equals(cursor.getJournal())) {
            return page;
        }
        goOnFrom(new EventCursor(0, page.getJournal()), handler); // it has other rows of these numbers
        return readable(waitS, handler);
    }

    private EventPage readable(int waitS, Handler handler) throws IOException, InterruptedException {
        try {
            return client.events(cursor.getAfter(), waitS);
        } catch (LaneProblem problem) {
            if (!"events_archived".equals(problem.getCode()) || problem.getFirstSeq() == null) {
                throw problem;
            }
            goOnFrom(new EventCursor(problem.getFirstSeq() - 1, ""), handler);
            return client.events(cursor.getAfter(), waitS);
        }
    }

    private void goOnFrom(EventCursor next, Handler handler) throws IOException {
        handler.gap(next.getAfter());
        keep(next);
    }

    private void keep(EventCursor next) throws IOException {
        if (!next.equals(cursor)) {
            store.save(next);
            cursor = next;
        }
    }
}
