package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** How the lane is. Immutable. */
public final class LaneStatus {
    /** A device of the lane. Immutable. */
    public static final class Device {
        private final String kind;
        private final String state;
        private final String problem;

        Device(JsonObject json) {
            kind = json.text("kind");
            state = json.text("state");
            problem = json.textOrNull("problem");
        }

        /**
         * What it is.
         *
         * @return such as {@code printer}
         */
        public String getKind() {
            return kind;
        }

        /**
         * How it is.
         *
         * @return {@code ok}, {@code fault} or {@code not_opened}, as of the last contact; others may be added
         */
        public String getState() {
            return state;
        }

        /**
         * What is wrong with it.
         *
         * @return a sentence, or null
         */
        public String getProblem() {
            return problem;
        }
    }

    private final JsonObject json;
    private final List<Device> devices;

    LaneStatus(JsonObject json) {
        this.json = json;
        for (String name : new String[] {"version", "lane_id", "profile", "language"}) {
            json.text(name);
        }
        for (String name : new String[] {"mode", "started_at_ms", "open_cases"}) {
            json.integer(name);
        }
        json.textOrNull("payment");
        getJournalLastSeq();
        List<Device> found = new ArrayList<>();
        for (JsonObject device : json.objects("devices")) {
            found.add(new Device(device));
        }
        devices = Collections.unmodifiableList(found);
    }

    /**
     * The version of the lane's software.
     *
     * @return such as {@code 0.1.0}
     */
    public String getVersion() {
        return json.text("version");
    }

    /**
     * The lane's id.
     *
     * @return not empty
     */
    public String getLaneId() {
        return json.text("lane_id");
    }

    /**
     * The profile of the lane's settings.
     *
     * @return such as {@code 4:3}
     */
    public String getProfile() {
        return json.text("profile");
    }

    /**
     * The display mode: 0 printed, 1 on the screen, 2 plate.
     *
     * @return 0, 1 or 2
     */
    public int getMode() {
        return (int) json.integer("mode");
    }

    /**
     * The language of the screen.
     *
     * @return {@code ru} or {@code en}
     */
    public String getLanguage() {
        return json.text("language");
    }

    /**
     * When the service started.
     *
     * @return lane time, ms since the epoch
     */
    public long getStartedAtMs() {
        return json.integer("started_at_ms");
    }

    /**
     * How many cases are open.
     *
     * @return 0 or more
     */
    public long getOpenCases() {
        return json.integer("open_cases");
    }

    /**
     * The payment under way.
     *
     * @return the till's id, or null
     */
    public String getPayment() {
        return json.textOrNull("payment");
    }

    /**
     * The last row of the lane's journal.
     *
     * @return give it as {@code after} to read only what comes from now on
     */
    public long getJournalLastSeq() {
        return json.object("journal").integer("last_seq");
    }

    /**
     * The lane's devices.
     *
     * @return may be empty
     */
    public List<Device> getDevices() {
        return devices;
    }
}
