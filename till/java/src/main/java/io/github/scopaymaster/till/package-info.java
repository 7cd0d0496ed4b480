/**
 * A Java 8 client of a lane's payment service, without dependencies.
 *
 * <p>{@link io.github.scopaymaster.till.PaymentSession} takes one payment from its beginning to its outcome and survives
 * lost answers and restarts of either side. {@link io.github.scopaymaster.till.LaneClient} is one method for each request
 * of the service. {@link io.github.scopaymaster.till.EventFollower} reads the lane's events without losing one.
 *
 * <p>The service holds the money logic: a payment has the id that the till gave it, and asking again with the same id is
 * the same payment. Release goods only when {@link io.github.scopaymaster.till.Payment#mayReleaseGoods()} says so.
 * {@link io.github.scopaymaster.till.Outcome#UNKNOWN} is an outcome: neither paid nor unpaid, an operator decides.
 *
 * <p>Amounts are kopecks in a {@code long}; names end in {@code Kopecks}. Times are milliseconds, or seconds where the
 * name says so. No method accepts or returns null unless its documentation says so.
 */
package io.github.scopaymaster.till;
