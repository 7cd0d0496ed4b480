package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;

import java.io.InputStream;
import java.nio.file.Files;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;
import org.junit.ClassRule;
import org.junit.Test;

/** A service with a certificate. */
public class TlsTest {
    @ClassRule
    public static final LaneBench LANE = new LaneBench("tls");

    /** What a till does with its JVM's trust store. */
    private static SSLSocketFactory trusting() throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream in = Files.newInputStream(LANE.authority())) {
            trusted.setCertificateEntry("lane", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    @Test
    public void aPaymentOverTls() throws Exception {
        SSLSocketFactory before = HttpsURLConnection.getDefaultSSLSocketFactory();
        HttpsURLConnection.setDefaultSSLSocketFactory(trusting());
        try {
            LANE.use("pays");
            PaymentSession session =
                    PaymentSession.begin(LANE.client(LANE.url()), "p1", Order.of("A-1", 100), new Recorder());
            assertEquals(Outcome.PAID, session.run().getOutcome());
            refuses(LANE.url().replace("127.0.0.1", "localhost")); // not the certificate's name
        } finally {
            HttpsURLConnection.setDefaultSSLSocketFactory(before);
        }
    }

    @Test
    public void anUnknownCertificateIsRefusedBeforeAnythingIsSent() throws Exception {
        refuses(LANE.url());
    }

    private static void refuses(String url) throws Exception {
        try {
            throw new AssertionError("answered: " + LANE.client(url).begin("p2", Order.of("A-2", 100)));
        } catch (LaneUnreachable e) {
            assertFalse(e.getMessage(), e.mayHaveArrived());
        }
    }
}
