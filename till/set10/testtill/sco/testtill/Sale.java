package sco.testtill;

import java.io.IOException;
import java.io.Reader;
import java.io.Writer;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.spi.receipt.ProcessedPayment;

/** The receipt in the till's database: what is stored is there after a restart. Plays Receipt. */
public final class Sale {
    /** A stored payment. Plays ProcessedPayment. */
    public static final class Stored {
        final String plugin;
        final BigDecimal sum;
        final Map<String, String> data;
        boolean annulled;

        Stored(String plugin, BigDecimal sum, Map<String, String> data) {
            this.plugin = plugin;
            this.sum = sum;
            this.data = data;
        }

        public String getPluginId() {
            return plugin;
        }

        public boolean isAnnulling() {
            return annulled;
        }

        public BigDecimal getSum() {
            return sum;
        }

        public Map<String, String> getData() {
            return data;
        }

        Payment asPayment() {
            Payment payment = new Payment();
            payment.setSum(sum);
            payment.getData().putAll(data);
            return payment;
        }
    }

    private final Path file;
    int shift;
    int number;
    BigDecimal total = new BigDecimal("0.00");
    final List<Stored> payments = new ArrayList<>();

    Sale(Path file) throws IOException {
        this.file = file;
        if (!Files.exists(file)) {
            return;
        }
        Properties all = new Properties();
        try (Reader in = Files.newBufferedReader(file)) {
            all.load(in);
        }
        shift = Integer.parseInt(all.getProperty("shift"));
        number = Integer.parseInt(all.getProperty("number"));
        total = new BigDecimal(all.getProperty("total"));
        for (int i = 0; all.containsKey("payment" + i + ".plugin"); i++) {
            String prefix = "payment" + i + ".";
            Map<String, String> data = new HashMap<>();
            for (String key : all.stringPropertyNames()) {
                if (key.startsWith(prefix + "data.")) {
                    data.put(key.substring((prefix + "data.").length()), all.getProperty(key));
                }
            }
            Stored stored = new Stored(all.getProperty(prefix + "plugin"), new BigDecimal(all.getProperty(prefix + "sum")), data);
            stored.annulled = Boolean.parseBoolean(all.getProperty(prefix + "annulled"));
            payments.add(stored);
        }
    }

    void save() throws IOException {
        Properties all = new Properties();
        all.setProperty("shift", Integer.toString(shift));
        all.setProperty("number", Integer.toString(number));
        all.setProperty("total", total.toString());
        for (int i = 0; i < payments.size(); i++) {
            Stored stored = payments.get(i);
            all.setProperty("payment" + i + ".plugin", stored.plugin);
            all.setProperty("payment" + i + ".sum", stored.sum.toString());
            all.setProperty("payment" + i + ".annulled", Boolean.toString(stored.annulled));
            for (Map.Entry<String, String> entry : stored.data.entrySet()) {
                all.setProperty("payment" + i + ".data." + entry.getKey(), entry.getValue());
            }
        }
        Path next = file.resolveSibling(file.getFileName() + ".new");
        try (Writer out = Files.newBufferedWriter(next)) {
            all.store(out, null);
        }
        Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    public BigDecimal getSumWithDiscount() {
        return total;
    }

    public BigDecimal getSurchargeSum() {
        BigDecimal left = total;
        for (Stored stored : payments) {
            if (!stored.annulled) {
                left = left.subtract(stored.sum);
            }
        }
        return left;
    }

    public int getShiftNo() {
        return shift;
    }

    public int getNumber() {
        return number;
    }

    public Collection<ProcessedPayment> getPayments() {
        return payments.stream().map(stored -> Fake.of(ProcessedPayment.class, stored)).collect(Collectors.toList());
    }
}
