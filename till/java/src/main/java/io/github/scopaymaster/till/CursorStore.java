package io.github.scopaymaster.till;

import java.io.IOException;

/** Where {@link EventFollower} keeps how far it has read, so that a restart of the till loses no event. */
public interface CursorStore {
    /**
     * The cursor as saved last.
     *
     * @return {@link EventCursor#START} if none was saved yet
     * @throws IOException if it cannot be read or is not a cursor
     */
    EventCursor load() throws IOException;

    /**
     * Save the cursor. When this returns, {@link #load} gives it after a crash too.
     *
     * @param cursor the whole of it
     * @throws IOException if it cannot be saved
     */
    void save(EventCursor cursor) throws IOException;

    /**
     * A store that forgets with the process: every start reads all events again.
     *
     * @return a new one
     */
    static CursorStore inMemory() {
        return new CursorStore() {
            private volatile EventCursor kept = EventCursor.START;

            @Override
            public EventCursor load() {
                return kept;
            }

            @Override
            public void save(EventCursor cursor) {
                kept = cursor;
            }
        };
    }
}
