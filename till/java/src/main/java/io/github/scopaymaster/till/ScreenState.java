package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** What the lane's screen shows to the customer. Immutable. */
public final class ScreenState {
    /** Text of a screen in one language. Immutable. */
    public static final class Text {
        private final String headline;
        private final List<String> lines;

        Text(JsonObject json) {
            headline = json.text("headline");
            lines = json.texts("lines");
        }

        /**
         * The headline.
         *
         * @return one line
         */
        public String getHeadline() {
            return headline;
        }

        /**
         * The lines under it.
         *
         * @return may be empty
         */
        public List<String> getLines() {
            return lines;
        }
    }

    /** A button of the screen. Immutable. */
    public static final class Button {
        private final JsonObject json;

        Button(JsonObject json) {
            this.json = json;
            json.text("id");
            json.flag("primary");
            getText("ru");
            getText("en");
        }

        /**
         * Which button.
         *
         * @return {@code retry} or {@code cancel}; others may be added
         */
        public String getId() {
            return json.text("id");
        }

        /**
         * What stands on it.
         *
         * @param language {@code ru} or {@code en}
         * @return the text
         */
        public String getText(String language) {
            return json.object("text").text(language);
        }

        /**
         * Whether it is the one to press when in doubt.
         *
         * @return true if so
         */
        public boolean isPrimary() {
            return json.flag("primary");
        }
    }

    private final JsonObject json;
    private final long version;
    private final List<Button> buttons;

    ScreenState(JsonObject json) {
        this.json = json;
        version = json.integer("version");
        for (String name : new String[] {"view", "language"}) {
            json.text(name);
        }
        for (String name : new String[] {"payment", "link"}) {
            json.textOrNull(name);
        }
        for (String name : new String[] {"amount_kopecks", "expires_at_ms", "case"}) {
            json.integerOrNull(name);
        }
        json.integer("now_ms");
        json.flag("plate");
        getText("ru");
        getText("en");
        List<Button> found = new ArrayList<>();
        for (JsonObject button : json.objects("buttons")) {
            found.add(new Button(button));
        }
        buttons = Collections.unmodifiableList(found);
    }

    /**
     * The number of this state.
     *
     * @return give it to {@link LaneClient#screen} to wait for the next one
     */
    public long getVersion() {
        return version;
    }

    /**
     * Which picture it is.
     *
     * @return {@code wait}, {@code pay}, {@code dialog}, {@code paid}, {@code unpaid}, {@code attendant}, {@code idle} or
     *     {@code out_of_service}; others may be added
     */
    public String getView() {
        return json.text("view");
    }

    /**
     * The payment that it is about.
     *
     * @return the till's id, or null
     */
    public String getPayment() {
        return json.textOrNull("payment");
    }

    /**
     * The text in a language.
     *
     * @param language {@code ru} or {@code en}
     * @return the text
     */
    public Text getText(String language) {
        return new Text(json.object("texts").object(language));
    }

    /**
     * The language that the screen shows.
     *
     * @return {@code ru} or {@code en}
     */
    public String getLanguage() {
        return json.text("language");
    }

    /**
     * The amount shown.
     *
     * @return kopecks, or null
     */
    public Long getAmountKopecks() {
        return json.integerOrNull("amount_kopecks");
    }

    /**
     * What the code on the screen says.
     *
     * @return the link, or null if no code is shown
     */
    public String getLink() {
        return json.textOrNull("link");
    }

    /**
     * When the customer can no longer pay.
     *
     * @return lane time, ms since the epoch, or null
     */
    public Long getExpiresAtMs() {
        return json.integerOrNull("expires_at_ms");
    }

    /**
     * The lane's clock when it answered.
     *
     * @return ms since the epoch
     */
    public long getNowMs() {
        return json.integer("now_ms");
    }

    /**
     * The number of the case shown.
     *
     * @return the number, or null
     */
    public Long getCase() {
        return json.integerOrNull("case");
    }

    /**
     * Whether the customer is sent to the NFC plate.
     *
     * @return true in display mode 2
     */
    public boolean isPlate() {
        return json.flag("plate");
    }

    /**
     * The buttons shown.
     *
     * @return may be empty
     */
    public List<Button> getButtons() {
        return buttons;
    }
}
