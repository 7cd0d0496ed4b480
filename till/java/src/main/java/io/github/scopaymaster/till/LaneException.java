package io.github.scopaymaster.till;

import java.io.IOException;

/**
 * A request to the lane's service failed. Either the service refused it ({@link LaneProblem}), or there is no answer that
 * can be used ({@link LaneUnreachable}).
 */
public abstract class LaneException extends IOException {
    private static final long serialVersionUID = 1L;

    LaneException(String message, Throwable cause) {
        super(message, cause);
    }
}
