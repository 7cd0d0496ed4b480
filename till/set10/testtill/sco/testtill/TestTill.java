package sco.testtill;

import java.awt.EventQueue;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.regex.Matcher;
import org.slf4j.Logger;
import ru.crystals.pos.api.plugin.PaymentPlugin;
import ru.crystals.pos.api.plugin.payment.Payment;
import ru.crystals.pos.api.ui.listener.CancelListener;
import ru.crystals.pos.api.ui.listener.ConfirmListener;
import ru.crystals.pos.api.ui.listener.DialogListener;
import ru.crystals.pos.spi.IncorrectStateException;
import ru.crystals.pos.spi.IntegrationProperties;
import ru.crystals.pos.spi.POSInfo;
import ru.crystals.pos.spi.POSType;
import ru.crystals.pos.spi.PropertiesReader;
import ru.crystals.pos.spi.ResBundle;
import ru.crystals.pos.spi.equipment.CustomerDisplay;
import ru.crystals.pos.spi.equipment.CustomerDisplayMessage;
import ru.crystals.pos.spi.feedback.Feedback;
import ru.crystals.pos.spi.plugin.payment.CancelRequest;
import ru.crystals.pos.spi.plugin.payment.InvalidPaymentException;
import ru.crystals.pos.spi.plugin.payment.PaymentCallback;
import ru.crystals.pos.spi.plugin.payment.PaymentRequest;
import ru.crystals.pos.spi.plugin.payment.RefundRequest;
import ru.crystals.pos.spi.receipt.Receipt;
import ru.crystals.pos.spi.ui.DialogFormParameters;
import ru.crystals.pos.spi.ui.QrFormParameters;
import ru.crystals.pos.spi.ui.UIForms;

/**
 * Plays a Set Retail 10 self-checkout around a payment plugin. A script on stdin is customer, cashier and bad luck; what
 * the till shows and stores is written to stdout. Receipts and feedback are in files, so that the process may be killed.
 *
 * <p>Arguments: the plugin's jar, the till's folder, then key=value: options of the plugin, {@code language},
 * {@code pos_type}, {@code display} (whether the customer display shows a code).
 */
public final class TestTill {
    private static final String CARD = "BankCardPaymentEntity";

    private final Path folder;
    private final Wire wire;
    private final PluginLoader loader;
    private final Map<String, String> settings = new HashMap<>();
    private final Map<String, String> faults = new HashMap<>();
    private final PaymentPlugin plugin;
    private Sale sale;
    private final Semaphore free = new Semaphore(0); // lets a busy UI thread go on

    // of the form on the screen; the UI thread's
    private boolean inTurn;
    private CancelListener cancel;
    private ConfirmListener confirm;
    private DialogListener dialog;

    private TestTill(File jar, Path folder, Map<String, String> settings, Wire wire) throws Exception {
        this.folder = folder;
        this.wire = wire;
        this.settings.putAll(settings);
        loader = new PluginLoader(jar, settings.getOrDefault("language", "ru"));
        sale = new Sale(folder.resolve("receipt"));
        Map<Class<?>, Object> given = new HashMap<>();
        given.put(POSInfo.class, Fake.of(POSInfo.class, new Info()));
        given.put(UIForms.class, Fake.of(UIForms.class, new Forms()));
        given.put(CustomerDisplay.class, Fake.of(CustomerDisplay.class, new Display()));
        given.put(IntegrationProperties.class, Fake.of(IntegrationProperties.class, new Properties()));
        given.put(ResBundle.class, Fake.of(ResBundle.class, new Texts()));
        given.put(Logger.class, Proxy.newProxyInstance(
                Logger.class.getClassLoader(), new Class<?>[] {Logger.class}, this::log));
        plugin = loader.load(given);
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> settings = new HashMap<>();
        for (int i = 2; i < arguments.length; i++) {
            String[] part = arguments[i].split("=", 2);
            settings.put(part[0], part[1]);
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Wire wire = new Wire(in, new PrintStream(System.out, false, "UTF-8"));
        TestTill till = new TestTill(new File(arguments[0]), Paths.get(arguments[1]), settings, wire);
        UiWatch.start(wire, "sco.set10.");
        wire.send("ready", "receipt", till.sale.number, "due", till.sale.getSurchargeSum());
        for (Map<String, String> order = wire.read(); order != null; order = wire.read()) {
            Map<String, String> now = order;
            if ("repeat".equals(now.get("name"))) {
                till.repeat();
            } else if ("free".equals(now.get("name"))) {
                till.free.release();
            } else if ("fiscalize".equals(now.get("name"))) {
                till.fiscalize("true".equals(now.get("annulled")));
            } else {
                EventQueue.invokeLater(() -> till.obey(now));
            }
        }
        Runtime.getRuntime().halt(0);
    }

    // --- the script ---------------------------------------------------------------------------------------------

    private void obey(Map<String, String> order) {
        try {
            switch (order.get("name")) {
                case "available":
                    long startNs = System.nanoTime();
                    boolean available = plugin.isAvailable();
                    wire.send("available", "value", available, "took_us", (System.nanoTime() - startNs) / 1000);
                    break;
                case "receipt":
                    sale = new Sale(folder.resolve("none"));
                    sale = new Sale(folder.resolve("receipt"));
                    sale.payments.clear();
                    sale.number = Integer.parseInt(order.get("number"));
                    sale.shift = Integer.parseInt(order.getOrDefault("shift", "204"));
                    sale.total = new BigDecimal(order.get("total"));
                    sale.save();
                    wire.send("receipt", "number", sale.number);
                    break;
                case "card":
                    sale.payments.add(new Sale.Stored(CARD, new BigDecimal(order.get("sum")), new HashMap<>()));
                    sale.save();
                    wire.send("card", "due", sale.getSurchargeSum());
                    break;
                case "pay":
                    inTurn = true;
                    wire.send("pay");
                    long callNs = System.nanoTime();
                    plugin.doPayment(Fake.of(PaymentRequest.class, new Request(order.get("limit"))));
                    wire.send("paying", "took_us", (System.nanoTime() - callNs) / 1000);
                    break;
                case "annul":
                    inTurn = true;
                    plugin.doPaymentCancel(Fake.of(CancelRequest.class, new Cancelling(order)));
                    break;
                case "refund":
                    inTurn = true;
                    plugin.doRefund(Fake.of(RefundRequest.class, new Refunding()));
                    break;
                case "busy":
                    wire.send("busy");
                    free.acquire();
                    break;
                case "repeat_in_ui":
                    repeat();
                    break;
                case "press":
                    press(order.get("button"));
                    break;
                case "fault":
                    faults.put(order.get("of"), order.get("is"));
                    wire.send("fault", "of", order.get("of"));
                    break;
                case "state":
                    state();
                    break;
                default:
                    wire.send("script_error", "text", "unknown order " + order);
            }
        } catch (Exception error) {
            wire.send("script_error", "text", trace(error));
        }
    }

    private void press(String button) {
        switch (button) {
            case "confirm":
                confirm.eventConfirmed();
                break;
            case "1":
                dialog.eventButton1pressed();
                break;
            case "2":
                dialog.eventButton2pressed();
                break;
            default:
                (dialog != null ? dialog : cancel).eventCanceled();
        }
    }

    private void state() throws IOException {
        StringBuilder threads = new StringBuilder();
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().startsWith("sco-")) {
                threads.append(thread.getName()).append(' ');
            }
        }
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        List<Object> fields = new ArrayList<>();
        fields.add("due");
        fields.add(sale.getSurchargeSum());
        fields.add("threads");
        fields.add(threads.toString().trim());
        fields.add("heap_bytes");
        fields.add(runtime.totalMemory() - runtime.freeMemory());
        fields.add("feedback");
        fields.add(feedback().size());
        wire.send("state", fields.toArray());
    }

    // --- the printed receipt ------------------------------------------------------------------------------------

    private void fiscalize(boolean annulled) throws IOException {
        Feedback feedback = plugin.eventReceiptFiscalized(Fake.of(Receipt.class, sale), annulled);
        if (feedback != null) {
            Files.write(folder.resolve("feedback"), (feedback.getPayload() + "\n").getBytes(StandardCharsets.UTF_8),
                    StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }
        wire.send("fiscalized", "feedback", feedback == null ? null : feedback.getPayload());
    }

    private void repeat() throws IOException {
        List<String> left = new ArrayList<>();
        for (String payload : feedback()) {
            try {
                plugin.onRepeatSend(new Feedback(payload));
            } catch (Exception again) {
                left.add(payload);
            }
        }
        Files.write(folder.resolve("feedback"), left, StandardCharsets.UTF_8);
        wire.send("repeated", "left", left.size());
    }

    private List<String> feedback() throws IOException {
        Path file = folder.resolve("feedback");
        return Files.exists(file) ? Files.readAllLines(file, StandardCharsets.UTF_8) : new ArrayList<>();
    }

    // --- what the plugin calls ----------------------------------------------------------------------------------

    /** Plays POSInfo. */
    public final class Info {
        public int getShopNumber() {
            return 17;
        }

        public int getPOSNumber() {
            return 3;
        }

        public POSType getPOSType() {
            return POSType.valueOf(settings.getOrDefault("pos_type", "SCO"));
        }
    }

    /** Plays UIForms. */
    public final class Forms {
        private void show(String kind, Object... fields) {
            if (!EventQueue.isDispatchThread()) {
                wire.send("violation", "text", kind + " is shown outside the UI thread");
            }
            int failures = Integer.parseInt(faults.getOrDefault("form_" + kind, "0"));
            if (!inTurn || failures > 0) {
                faults.put("form_" + kind, Integer.toString(failures - 1));
                wire.send("form_refused", "kind", kind);
                throw new IncorrectStateException();
            }
            cancel = null;
            confirm = null;
            dialog = null;
            List<Object> all = new ArrayList<>();
            all.add("kind");
            all.add(kind);
            for (Object field : fields) {
                all.add(field);
            }
            wire.send("form", all.toArray());
        }

        public void showSpinnerForm(String text) {
            show("spinner", "text", text);
        }

        public void showSpinnerFormWithCancel(String text, CancelListener listener) {
            show("message", "text", text);
            cancel = listener;
        }

        public void showErrorForm(String text, ConfirmListener listener) {
            show("error", "text", text);
            confirm = listener;
        }

        public void showDialogForm(DialogFormParameters parameters, DialogListener listener) {
            show("dialog", "text", parameters.getMessage(), "button1", parameters.getButton1Text(), "button2",
                    parameters.getButton2Text());
            dialog = listener;
        }

        public void showQrForm(QrFormParameters parameters) {
            show("qr", "text", parameters.getMessage(), "link", parameters.getQrPayload(), "sum", parameters.getSum(),
                    "cancel", parameters.getCanceledFormListener() == null ? null : parameters.getCancelButtonMessage());
            cancel = parameters.getCanceledFormListener();
        }
    }

    /** Plays CustomerDisplay. */
    public final class Display {
        public boolean canShowQr() {
            return "true".equals(settings.get("display"));
        }

        public void display(CustomerDisplayMessage message) {
            wire.send("display", "message", message);
        }

        public void clear() {
            wire.send("display_cleared");
        }
    }

    /** Plays IntegrationProperties and its PropertiesReader. */
    public final class Properties {
        public PropertiesReader getServiceProperties() {
            return Fake.of(PropertiesReader.class, this);
        }

        public String get(String key, String otherwise) {
            return settings.getOrDefault(key, loader.options.getOrDefault(key, otherwise));
        }
    }

    /** Plays ResBundle. */
    public final class Texts {
        public String getString(String key) {
            return loader.texts.getProperty(key, key);
        }
    }

    /** Plays slf4j's Logger, whose methods differ in their parameters only. */
    private Object log(Object proxy, Method method, Object[] arguments) {
        String text = arguments[0].toString();
        for (int i = 1; i < arguments.length; i++) {
            Object[] all = arguments[i] instanceof Object[] ? (Object[]) arguments[i] : new Object[] {arguments[i]};
            for (Object argument : all) {
                text = argument instanceof Throwable
                        ? text + "\n" + trace((Throwable) argument)
                        : text.replaceFirst("\\{}", Matcher.quoteReplacement(String.valueOf(argument)));
            }
        }
        wire.send("log", "level", method.getName(), "text", text);
        return null;
    }

    private static String trace(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    /** Plays PaymentRequest. */
    public class Request {
        private final String limit;

        Request(String limit) {
            this.limit = limit;
        }

        public Receipt getReceipt() {
            return Fake.of(Receipt.class, sale);
        }

        public BigDecimal getLimitSum() {
            return limit == null ? BigDecimal.ZERO : new BigDecimal(limit);
        }

        public PaymentCallback getPaymentCallback() {
            return Fake.of(PaymentCallback.class, new Selling());
        }
    }

    /** Plays PaymentCallback; ends the plugin's turn. */
    public class CallBack {
        void over(String what, Payment payment) {
            if (!inTurn) {
                wire.send("violation", "text", what + " after the turn was over");
            }
            inTurn = false;
            List<Object> fields = new ArrayList<>();
            fields.add("what");
            fields.add(what);
            fields.add("sum");
            fields.add(payment.getSum());
            for (Map.Entry<String, String> entry : payment.getData().entrySet()) {
                fields.add(entry.getKey());
                fields.add(entry.getValue());
            }
            wire.send("turn_over", fields.toArray());
        }

        public void paymentNotCompleted() {
            over("not_completed", new Payment());
        }

        public void paymentNotCompleted(Payment payment) {
            over("not_completed", payment);
        }
    }

    /** Stores what is paid. */
    public final class Selling extends CallBack {
        @Override
        public void paymentNotCompleted(Payment payment) {
            if ("store".equals(faults.get("not_completed"))) {
                sale.payments.add(new Sale.Stored(loader.id, new BigDecimal("0.00"), new HashMap<>(payment.getData())));
            }
            super.paymentNotCompleted(payment);
        }

        public void paymentCompleted(Payment payment) throws InvalidPaymentException, IOException {
            String fault = faults.getOrDefault("call_back", "");
            wire.send("call_back", "fault", fault);
            if ("kill_before".equals(fault)) {
                Runtime.getRuntime().halt(137);
            }
            if ("throw_before".equals(fault)) {
                throw new IllegalStateException("the till's database is away");
            }
            boolean fits = payment.getSum() != null && payment.getSum().signum() > 0
                    && payment.getSum().compareTo(sale.getSurchargeSum()) <= 0;
            if (!fits || "invalid".equals(fault)) {
                throw new InvalidPaymentException();
            }
            if ("swallow".equals(fault) || "store_later".equals(fault)) {
                over("completed", payment);
                if ("store_later".equals(fault)) {
                    EventQueue.invokeLater(() -> store(payment));
                }
                return;
            }
            store(payment);
            if ("kill_after".equals(fault)) {
                Runtime.getRuntime().halt(137);
            }
            if ("throw_after".equals(fault)) {
                inTurn = false;
                throw new IllegalStateException("the till failed after it had stored the payment");
            }
            over("completed", payment);
        }

        private void store(Payment payment) {
            sale.payments.add(new Sale.Stored(loader.id, payment.getSum(), new HashMap<>(payment.getData())));
            try {
                sale.save();
            } catch (IOException disk) {
                throw new UncheckedIOException(disk);
            }
            wire.send("stored", "due", sale.getSurchargeSum(), "id", payment.getData("paymaster.id"));
        }
    }

    /** Plays CancelRequest for the last payment of ours, or for the one that the script names. */
    public final class Cancelling {
        private final Payment payment;

        Cancelling(Map<String, String> order) {
            Payment found = new Payment();
            for (Sale.Stored stored : sale.payments) {
                if (stored.plugin.equals(loader.id)) {
                    found = stored.asPayment();
                }
            }
            if (order.containsKey("id")) {
                found = new Payment();
                found.setSum(sale.total);
                found.getData().put("paymaster.id", order.get("id"));
            }
            payment = found;
        }

        public Payment getPayment() {
            return payment;
        }

        public PaymentCallback getPaymentCallback() {
            return Fake.of(PaymentCallback.class, new Annulling());
        }
    }

    /** Annuls what could be cancelled. */
    public final class Annulling extends CallBack {
        public void paymentCompleted(Payment payment) throws IOException {
            for (Sale.Stored stored : sale.payments) {
                stored.annulled |= stored.plugin.equals(loader.id);
            }
            sale.save();
            over("annulled", payment);
        }
    }

    /** Plays RefundRequest. */
    public final class Refunding {
        public PaymentCallback getPaymentCallback() {
            return Fake.of(PaymentCallback.class, new CallBack());
        }
    }
}
