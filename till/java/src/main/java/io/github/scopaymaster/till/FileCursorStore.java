package io.github.scopaymaster.till;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A cursor in a file, replaced as a whole: a crash or a power failure leaves the old one or the new one. */
public final class FileCursorStore implements CursorStore {
    private static final Pattern CURSOR = Pattern.compile("([0-9]{1,18})(?: (.+))?\n?");

    private final Path file;

    /**
     * A store in this file, which need not exist yet. Its folder must.
     *
     * @param file used by one follower only
     */
    public FileCursorStore(Path file) {
        this.file = file.toAbsolutePath();
    }

    @Override
    public EventCursor load() throws IOException {
        String found;
        try {
            found = new String(Files.readAllBytes(file), StandardCharsets.US_ASCII);
        } catch (NoSuchFileException e) {
            return EventCursor.START;
        }
        Matcher parts = CURSOR.matcher(found);
        try {
            if (parts.matches()) {
                return new EventCursor(Long.parseLong(parts.group(1)), parts.group(2) == null ? "" : parts.group(2));
            }
        } catch (IllegalArgumentException e) {
            // nor is that one
        }
        throw new IOException("the cursor file " + file + " holds no cursor; remove it to read all events again");
    }

    @Override
    public void save(EventCursor cursor) throws IOException {
        DurableFile.replace(file, (cursor + "\n").getBytes(StandardCharsets.US_ASCII));
    }
}
