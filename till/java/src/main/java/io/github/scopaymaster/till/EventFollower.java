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
    private long after = -1;
    /** Whether the journal that answers is known to be as long as what was read. Another one may be after a restart. */
    private boolean sameJournal;

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
        if (after < 0) {
            after = store.load();
        }
        EventPage page;
        try {
            page = read(waitS, handler);
        } catch (LaneUnreachable e) {
            sameJournal = false;
            throw e;
        }
        List<LaneEvent> events = page.getEvents();
        for (LaneEvent event : events) {
            try {
                handler.event(event);
            } catch (IOException | RuntimeException e) {
                keep(Math.max(after, event.getSeq() - 1)); // all events of the rows before this one are handled
                throw e;
            }
        }
        keep(page.getNextAfter());
        return events.size();
    }

    private EventPage read(int waitS, Handler handler) throws IOException, InterruptedException {
        if (!sameJournal) {
            if (client.lane().getJournalLastSeq() < after) {
                goOnFrom(0, handler);
            }
            sameJournal = true;
        }
        try {
            return client.events(after, waitS);
        } catch (LaneProblem problem) {
            if (!"events_archived".equals(problem.getCode()) || problem.getFirstSeq() == null) {
                throw problem;
            }
            goOnFrom(problem.getFirstSeq() - 1, handler);
            return client.events(after, waitS);
        }
    }

    private void goOnFrom(long cursor, Handler handler) throws IOException {
        handler.gap(cursor);
        keep(cursor);
    }

    private void keep(long cursor) throws IOException {
        if (cursor != after) {
            store.save(cursor);
            after = cursor;
        }
    }
}
