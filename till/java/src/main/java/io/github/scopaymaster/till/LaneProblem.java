package io.github.scopaymaster.till;

/**
 * The service answered that it will not do what was asked, and why. What it refused, it did not do. An answer that does not
 * say so surely, such as {@code journal_unavailable}, is a {@link LaneUnreachable}.
 */
public final class LaneProblem extends LaneException {
    private static final long serialVersionUID = 1L;

    /** @serial see {@link #getCode} */
    private final String code;
    /** @serial see {@link #getStatus} */
    private final int status;
    /** @serial see {@link #isRetry} */
    private final boolean retry;
    /** @serial see {@link #getDetail} */
    private final String detail;
    /** @serial see {@link #getDetailRu} */
    private final String detailRu;
    /** @serial see {@link #getField} */
    private final String field;
    /** @serial the first event that can be read */
    private final Long firstSeq;

    LaneProblem(String code, int status, boolean retry, String detail, String detailRu, String field, Long firstSeq) {
        super(status + " " + code + ": " + detail, null);
        this.code = code;
        this.status = status;
        this.retry = retry;
        this.detail = detail;
        this.detailRu = detailRu;
        this.field = field;
        this.firstSeq = firstSeq;
    }

    /**
     * What it is, for programs.
     *
     * @return a word of the service's list, such as {@code "lane_busy"}
     */
    public String getCode() {
        return code;
    }

    /**
     * The HTTP status.
     *
     * @return 400 to 599
     */
    public int getStatus() {
        return status;
    }

    /**
     * Whether the same request may succeed later without any change.
     *
     * @return true such as for {@code lane_busy}
     */
    public boolean isRetry() {
        return retry;
    }

    /**
     * What it is, for the log.
     *
     * @return an English sentence
     */
    public String getDetail() {
        return detail;
    }

    /**
     * What it is, for the shop's staff.
     *
     * @return a Russian sentence; the English one if the service gave none
     */
    public String getDetailRu() {
        return detailRu;
    }

    /**
     * The field of the request that is at fault.
     *
     * @return its name, or null
     */
    public String getField() {
        return field;
    }

    /** With {@code events_archived}: the first event that can still be read, or null. */
    Long getFirstSeq() {
        return firstSeq;
    }
}
