package io.github.scopaymaster.till;

/** A document is not the JSON that was expected. Does not leave the package: callers see {@link LaneUnreachable}. */
final class JsonException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    JsonException(String message) {
        super(message);
    }
}
