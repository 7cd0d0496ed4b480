package sco.set10;

import io.github.scopaymaster.till.LaneClient;
import java.nio.file.Path;
import java.nio.file.Paths;
import ru.crystals.pos.spi.PropertiesReader;

/** The plugin's options, as the server has them now. */
final class Options {
    private static final int PREFIX_MAX = 16;
    /** The lane may take 60 s to begin a payment; the customer is asked before, and the request is repeated. */
    private static final int BEGIN_TIMEOUT_MS = 25_000;
    private static final int READ_TIMEOUT_MS = 4_000;

    /** For the first request to begin a payment. */
    final LaneClient lane;
    /** For all else: the lane answers it from memory, and the customer's presses are looked at between two requests. */
    final LaneClient quick;
    final Path stateFile;
    final String orderPrefix;

    private Options(LaneClient lane, LaneClient quick, Path stateFile, String orderPrefix) {
        this.lane = lane;
        this.quick = quick;
        this.stateFile = stateFile;
        this.orderPrefix = orderPrefix;
    }

    /** @throws IllegalArgumentException which option cannot be used, and why */
    static Options read(PropertiesReader reader) {
        String url = needed(reader, "paymaster.service");
        String token = needed(reader, "paymaster.token_file");
        String state = reader.get("paymaster.state_file", "").trim();
        String prefix = reader.get("paymaster.order_prefix", "").trim();
        if (prefix.length() > PREFIX_MAX || !prefix.matches("[A-Za-z0-9._-]*")) {
            throw new IllegalArgumentException("paymaster.order_prefix '" + prefix + "' must be at most " + PREFIX_MAX
                    + " of Latin letters, digits, dot, underscore, hyphen");
        }
        Path file = state.isEmpty()
                ? Paths.get(System.getProperty("user.home", "."), ".sco-paymaster", "payments")
                : Paths.get(state);
        return new Options(client(url, token, BEGIN_TIMEOUT_MS), client(url, token, READ_TIMEOUT_MS), file, prefix);
    }

    private static String needed(PropertiesReader reader, String key) {
        String value = reader.get(key, "");
        if (value == null || value.trim().isEmpty()) {
            throw new IllegalArgumentException(key + " is not set");
        }
        return value.trim();
    }

    private static LaneClient client(String url, String token, int beginTimeoutMs) {
        return LaneClient.at(url).tokenFile(Paths.get(token)).connectTimeoutMs(1_000).readTimeoutMs(READ_TIMEOUT_MS)
                .beginTimeoutMs(beginTimeoutMs).build();
    }
}
