package io.github.scopaymaster.till;

import java.util.Objects;
import java.util.regex.Pattern;

/** How far the lane's events were read, and in which of its journals: another one has other rows. Immutable. */
public final class EventCursor {
    private static final Pattern JOURNAL = Pattern.compile("[A-Za-z0-9-]{0,64}");

    /** Before the first event. */
    public static final EventCursor START = new EventCursor(0, "");

    private final long after;
    private final String journal;

    /**
     * A cursor.
     *
     * @param after the last row that was read, 0 or more
     * @param journal the id of the journal that it is of: at most 64 Latin letters, digits and hyphens; empty where that is
     *     not known
     * @throws IllegalArgumentException if one of them is not that
     */
    public EventCursor(long after, String journal) {
        if (after < 0 || !isJournal(journal)) {
            throw new IllegalArgumentException("no cursor: " + after + " " + journal);
        }
        this.after = after;
        this.journal = journal;
    }

    static boolean isJournal(String text) {
        return JOURNAL.matcher(text).matches();
    }

    /**
     * The last row that was read.
     *
     * @return 0 before the first one
     */
    public long getAfter() {
        return after;
    }

    /**
     * The journal's id.
     *
     * @return empty where it is not known
     */
    public String getJournal() {
        return journal;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EventCursor && ((EventCursor) other).after == after
                && ((EventCursor) other).journal.equals(journal);
    }

    @Override
    public int hashCode() {
        return Objects.hash(after, journal);
    }

    @Override
    public String toString() {
        return after + (journal.isEmpty() ? "" : " " + journal);
    }
}
