package io.github.scopaymaster.till;

import java.io.IOException;

/** Where {@link EventFollower} keeps how far it has read, so that a restart of the till loses no event. */
public interface CursorStore {
    /**
     * The cursor as saved last.
     *
     * @return 0 if none was saved yet
     * @throws IOException if it cannot be read or is not a cursor
     */
    long load() throws IOException;

    /**
     * Save the cursor. When this returns, {@link #load} gives it after a crash too.
     *
     * @param after 0 or more
     * @throws IOException if it cannot be saved
     */
    void save(long after) throws IOException;

    /**
     * A store that forgets with the process: every start reads all events again.
     *
     * @return a new one
     */
    static CursorStore inMemory() {
        return new CursorStore() {
            private volatile long kept;

            @Override
            public long load() {
                return kept;
            }

            @Override
            public void save(long after) {
                kept = after;
            }
        };
    }
}
