package ru.crystals.pos.spi.feedback;

public class Feedback {
    private final String payload;

    public Feedback(String payload) {
        this.payload = payload;
    }

    public String getPayload() {
        return payload;
    }
}
