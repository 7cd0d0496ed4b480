package io.github.scopaymaster.till;

import java.io.IOException;
import java.nio.file.Path;

/** A cursor in a file, replaced as a whole: a crash leaves the old one or the new one. */
public final class FileCursorStore implements CursorStore {
    /**
     * A store in this file, which need not exist yet. Its folder must.
     *
     * @param file used by one follower only
     */
    public FileCursorStore(Path file) {
    }

    @Override
    public long load() throws IOException {
        throw new UnsupportedOperationException();
    }

    @Override
    public void save(long after) throws IOException {
        throw new UnsupportedOperationException();
    }
}
