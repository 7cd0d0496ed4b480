package io.github.scopaymaster.till;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
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
        Path fresh = file.resolveSibling(file.getFileName() + ".new");
        try (FileChannel out = FileChannel.open(fresh, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer text = ByteBuffer.wrap((cursor + "\n").getBytes(StandardCharsets.US_ASCII));
            while (text.hasRemaining()) {
                out.write(text);
            }
            out.force(true);
        }
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        FileChannel folder;
        try {
            folder = FileChannel.open(file.getParent(), StandardOpenOption.READ);
        } catch (IOException e) {
            return; // Windows opens no folder, and its move is durable
        }
        try {
            folder.force(true);
        } finally {
            folder.close();
        }
    }
}
