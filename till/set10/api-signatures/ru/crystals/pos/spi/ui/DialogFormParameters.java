package ru.crystals.pos.spi.ui;

public class DialogFormParameters {
    private final String message;
    private final String button1Text;
    private final String button2Text;

    public DialogFormParameters(String message, String button1Text, String button2Text) {
        this.message = message;
        this.button1Text = button1Text;
        this.button2Text = button2Text;
    }

    public String getMessage() {
        return message;
    }

    public String getButton1Text() {
        return button1Text;
    }

    public String getButton2Text() {
        return button2Text;
    }
}
