package sco.set10;

import io.github.scopaymaster.till.LaneProblem;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.plugin.payment.CancelRequest;

/**
 * A receipt with a payment of ours is voided. One that is open is cancelled; one that is unpaid needs nothing; money that
 * the bank has is returned on pos/touch tills only, so the till must keep the payment.
 */
final class CancelTurn extends LaneTurn {
    private static final int STORE_S = 60;

    private final PaymasterPlugin plugin;
    private final Payment payment;

    CancelTurn(Host host, PaymasterPlugin plugin, CancelRequest request) {
        super(host, request.getPaymentCallback());
        this.plugin = plugin;
        this.payment = request.getPayment();
    }

    @Override
    void work() throws Exception {
        String id = payment.getData(Fields.ID);
        if (id == null) {
            host.log.error("the receipt's payment has no {}", Fields.ID);
            error(host.text("attendant"));
            return;
        }
        options = plugin.options();
        ledger = plugin.ledger(options);
        io.github.scopaymaster.till.Payment lane;
        try {
            lane = reach(() -> options.quick.payment(id));
            if (lane.isRunning()) {
                lane = cancel(id);
            }
        } catch (GivenUp | LaneProblem unresolved) {
            host.log.error("payment {} cannot be cancelled: {}", id, unresolved.getMessage());
            sendToAttendant(id);
            return;
        }
        keep(payment, lane);
        switch (lane.getOutcome()) {
            case UNPAID:
            case NOT_PRESENTED:
                ledger.remove(id);
                CompletableFuture<Void> told = new CompletableFuture<>();
                Host.inUi(() -> {
                    try {
                        completed(payment);
                        told.complete(null);
                    } catch (Exception | LinkageError refused) {
                        told.completeExceptionally(refused);
                    }
                });
                told.get(STORE_S, TimeUnit.SECONDS);
                break;
            case PAID:
                if (lane.getCase() == null) {
                    error(host.text("no_refunds"));
                    break;
                }
                sendToAttendant(lane);
                break;
            default:
                sendToAttendant(lane);
                break;
        }
    }

    @Override
    boolean isStored(Payment payment) {
        return false;
    }

    @Override
    boolean isOf(String order) {
        String known = payment.getData(Fields.ORDER);
        return known == null || known.equals(order);
    }

    @Override
    boolean isUnderWay() {
        return true;
    }

    @Override
    Payment remains() {
        return payment;
    }
}
