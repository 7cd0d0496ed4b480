package sco.set10;

import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.plugin.payment.PaymentCallback;

/** A self-checkout makes no refunds: says so. */
final class RefundTurn extends Turn {
    RefundTurn(Host host, PaymentCallback callback) {
        super(host, callback);
    }

    @Override
    void work() throws InterruptedException {
        error(host.text("no_refunds"));
    }

    @Override
    boolean isStored(Payment payment) {
        return false;
    }

    @Override
    boolean isOf(String order) {
        return false;
    }

    @Override
    Payment remains() {
        return null;
    }
}
