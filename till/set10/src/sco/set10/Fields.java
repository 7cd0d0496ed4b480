package sco.set10;

/** Keys of what the till keeps with a payment; metainf.xml declares each of them. */
final class Fields {
    static final String ID = "paymaster.id";
    static final String ORDER = "paymaster.order";
    static final String ATTEMPT = "paymaster.attempt";
    static final String PAYMENT_ID = "paymaster.payment_id";
    static final String AMOUNT_KOPECKS = "paymaster.amount_kopecks";
    static final String OUTCOME = "paymaster.outcome";
    static final String CASE = "paymaster.case";

    private Fields() {}
}
