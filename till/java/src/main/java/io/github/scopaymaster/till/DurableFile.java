package io.github.scopaymaster.till;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** Replaces a file as a whole: a crash or a power failure leaves the old content or the new one. */
public final class DurableFile {
    private DurableFile() {
    }

    /**
     * Write a file, and return when it is on the disk. A file named {@code FILE.new} beside it is used on the way.
     *
     * @param file written by one thread at a time; its folder must exist
     * @param content the whole file
     * @throws IOException the file could not be written: it has its old content, or, where only the folder could not be
     *     written, perhaps the new one
     */
    public static void replace(Path file, byte[] content) throws IOException {
        Path fresh = file.resolveSibling(file.getFileName() + ".new");
        try (FileChannel out = FileChannel.open(fresh, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING)) {
            ByteBuffer left = ByteBuffer.wrap(content);
            while (left.hasRemaining()) {
                out.write(left);
            }
            out.force(true);
        }
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        FileChannel folder;
        try {
            folder = FileChannel.open(file.toAbsolutePath().getParent(), StandardOpenOption.READ);
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
