package io.github.scopaymaster.till;

import java.io.IOException;

/**
 * Reads the lane's events in order and loses none over restarts of the till or of the service.
 *
 * <p>Each event is handled at least once: a till that dies after handling one and before the cursor is saved gets it again.
 * {@link LaneEvent#getSeq} tells.
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
         * The events before this one are in an archive and cannot be read, or the lane has another journal.
         *
         * @param after the cursor from which reading goes on
         */
        default void gap(long after) {
        }
    }

    /**
     * A follower that goes on where the store says.
     *
     * @param client the lane
     * @param store where the cursor is kept
     */
    public EventFollower(LaneClient client, CursorStore store) {
    }

    /**
     * Read one page of events, handle each, save the cursor.
     *
     * @param waitS how long to wait for the first one, 0 to {@link LaneClient#MAX_WAIT_S} seconds
     * @param handler handles them, in this thread
     * @return how many were handled
     * @throws LaneException the service refused, or no usable answer came: the cursor is as it was
     * @throws IOException the cursor could not be loaded or saved, or the handler failed
     * @throws InterruptedException the thread was interrupted
     */
    public int poll(int waitS, Handler handler) throws IOException, InterruptedException {
        throw new UnsupportedOperationException();
    }
}
