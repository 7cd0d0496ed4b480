package io.github.scopaymaster.till;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertFalse;

import java.io.IOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class DurableFileTest {
    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    @Test
    public void aFileIsReplacedAsAWhole() throws Exception {
        replacesIn(folder.getRoot().toPath());
    }

    /** As on Windows; a file system in an archive refuses it too. */
    @Test
    public void aFolderThatCannotBeOpenedIsNoFailure() throws Exception {
        URI archive = URI.create("jar:" + folder.getRoot().toPath().resolve("archive.zip").toUri());
        try (FileSystem system = FileSystems.newFileSystem(archive, Collections.singletonMap("create", "true"))) {
            Path inside = Files.createDirectory(system.getPath("/state"));
            try (FileChannel opened = FileChannel.open(inside, StandardOpenOption.READ)) {
                throw new AssertionError("this folder can be opened: " + opened);
            } catch (IOException expected) {
                replacesIn(inside);
            }
        }
    }

    private static void replacesIn(Path inside) throws IOException {
        Path file = inside.resolve("payments");
        for (byte[] content : new byte[][] {{1, 2, 3}, {}, {4}}) {
            DurableFile.replace(file, content);
            assertArrayEquals(content, Files.readAllBytes(file));
        }
        assertFalse(Files.exists(inside.resolve("payments.new")));
    }
}
