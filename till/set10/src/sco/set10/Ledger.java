package sco.set10;

import io.github.scopaymaster.till.DurableFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The payments that the till has begun and not settled with the lane, in a small file: the till itself stores nothing
 * of a payment before it is over. A line is on disk before the step that it announces; the file is replaced whole.
 */
final class Ledger {
    /** How far a payment is. */
    enum Due {
        /** Begun, or about to be. Once it is paid, the till may have stored it, or not: its receipt says. */
        OPEN,
        /** The till has stored it; the lane must learn that. */
        TAKEN,
        /** The till has not sold by it: what is open must be cancelled, what is paid must become a case. */
        ABANDONED
    }

    static final class Entry {
        final String id;
        final String order;
        final Due due;
        final long sinceMs;

        Entry(String id, String order, Due due, long sinceMs) {
            this.id = id;
            this.order = order;
            this.due = due;
            this.sinceMs = sinceMs;
        }
    }

    private final Path file;
    private volatile Map<String, Entry> entries = Collections.emptyMap(); // replaced, so that the UI thread never waits

    private Ledger(Path file) {
        this.file = file;
    }

    /** @throws IOException where the file cannot be read, or is not one of ours, or its folder cannot be written */
    static Ledger open(Path file) throws IOException {
        Ledger ledger = new Ledger(file);
        Map<String, Entry> found = new LinkedHashMap<>();
        Files.createDirectories(file.toAbsolutePath().getParent());
        try {
            for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
                String[] part = line.split("\t");
                found.put(part[0], new Entry(part[0], part[1], Due.valueOf(part[2]), Long.parseLong(part[3])));
            }
        } catch (NoSuchFileException first) {
            ledger.write(found);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException error) {
            throw new IOException(file + " is damaged: " + error.getMessage(), error);
        }
        ledger.entries = found;
        return ledger;
    }

    List<Entry> entries() {
        return new ArrayList<>(entries.values());
    }

    Entry get(String id) {
        return entries.get(id);
    }

    /** @throws IOException where it cannot be written: the step must not be taken */
    synchronized void put(String id, String order, Due due) throws IOException {
        Entry old = entries.get(id);
        if (old != null && old.due == due) {
            return;
        }
        Map<String, Entry> next = new LinkedHashMap<>(entries);
        next.put(id, new Entry(id, order, due, old == null ? System.currentTimeMillis() : old.sinceMs));
        write(next);
        entries = next;
    }

    /**
     * Note a later step of a payment, unless it was settled meanwhile.
     *
     * @return the entry, or null if there is none any more
     */
    synchronized Entry mark(String id, Due due) throws IOException {
        Entry entry = entries.get(id);
        if (entry != null) {
            put(id, entry.order, due);
        }
        return entries.get(id);
    }

    /** Forget a payment that is settled. One that cannot be removed from the disk is settled again later. */
    synchronized void remove(String id) throws IOException {
        if (entries.containsKey(id)) {
            Map<String, Entry> next = new LinkedHashMap<>(entries);
            next.remove(id);
            write(next);
            entries = next;
        }
    }

    private void write(Map<String, Entry> content) throws IOException {
        StringBuilder text = new StringBuilder();
        for (Entry entry : content.values()) {
            text.append(entry.id).append('\t').append(entry.order).append('\t').append(entry.due);
            text.append('\t').append(entry.sinceMs).append('\n');
        }
        DurableFile.replace(file, text.toString().getBytes(StandardCharsets.UTF_8));
    }
}
