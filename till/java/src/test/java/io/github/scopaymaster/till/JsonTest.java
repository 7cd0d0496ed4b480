package io.github.scopaymaster.till;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.Test;

public class JsonTest {
    @Test
    public void valuesAreReadAsTheirTypes() {
        Map<String, Object> expected = new LinkedHashMap<>();
        expected.put("whole", -12L);
        expected.put("list", Arrays.asList(true, false, null));
        expected.put("empty", Collections.emptyMap());
        expected.put("part", new BigDecimal("1.50"));
        assertEquals(expected, Json.read(" {\"whole\": -12, \"list\" : [true,false , null], \"empty\":{}, \"part\":1.50}\n"));
        assertEquals(Collections.emptyList(), Json.read("[ ]"));
        assertNull(Json.read("null"));
    }

    @Test
    public void numbersKeepEveryDigit() {
        assertEquals(Long.MAX_VALUE, Json.read("9223372036854775807"));
        assertEquals(Long.MIN_VALUE, Json.read("-9223372036854775808"));
        assertEquals(new BigDecimal("9223372036854775808"), Json.read("9223372036854775808"));
        assertEquals(0L, Json.read("-0"));
        assertEquals(new BigDecimal("0.1"), Json.read("0.1"));
        assertEquals(new BigDecimal("1E+2"), Json.read("1e2"));
        assertEquals(new BigDecimal("-1.25E-7"), Json.read("-1.25E-7"));
    }

    @Test
    public void whatIsNoNumberIsRefused() {
        for (String bad : new String[] {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "1_0", "--1", "NaN", "Infinity",
            "\u0661", "1e99999999999", digits(65)}) {
            refused(bad);
        }
        assertEquals(new BigDecimal(digits(64)), Json.read(digits(64)));
    }

    @Test
    public void textIsUnescaped() {
        assertEquals("\"\\/\b\f\n\r\t", Json.read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""));
        assertEquals("Отменить", Json.read("\"\\u041e\\u0442менить\""));
        assertEquals("\uD83D\uDE00", Json.read("\"\\uD83D\\uDE00\""));
        assertEquals("\uD83D\uDE00", Json.read("\"\\ud83d\uDE00\""));
        assertEquals("\0", Json.read("\"\\u0000\""));
        assertEquals("\u007f\u2028", Json.read("\"\u007f\u2028\""));
    }

    @Test
    public void whatIsNoTextIsRefused() {
        for (String bad : new String[] {"\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\u\u0661\u0661\u0661\u0661\"",
            "\"\n\"", "\"\u0000\"", "'a'", "\"\\uD83D\"", "\"\\uDE00\"", "\"\\uDE00\\uD83D\"", "\"\\uD83Dx\"", "\"\\uD83D\\n\""}) {
            refused(bad);
        }
    }

    @Test
    public void whatIsNoDocumentIsRefused() {
        for (String bad : new String[] {"", " ", "nul", "True", "nullx", "{", "[", "]", "[1,]", "[,1]", "[1 2]", "{\"a\"}",
            "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1 \"b\":2}", "1 2", "[]]", "/**/1", "[1]//", "\uFEFF1", "\u00A01",
            "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":1}", "\f1", "{1:2}", "\0"}) {
            refused(bad);
        }
    }

    @Test
    public void octetsMustBeUtf8() {
        assertEquals("Ж", Json.read("\"Ж\"".getBytes(StandardCharsets.UTF_8)));
        for (int[] bad : new int[][] {{0xFF}, {0xC0, 0x80}, {0xD0}, {0xED, 0xA0, 0xBD}, {0xF5, 0x80, 0x80, 0x80}}) {
            byte[] octets = new byte[bad.length + 2];
            octets[0] = '"';
            octets[octets.length - 1] = '"';
            for (int i = 0; i < bad.length; i++) {
                octets[i + 1] = (byte) bad[i];
            }
            try {
                fail("read as " + Json.read(octets));
            } catch (JsonException e) {
                assertTrue(e.getMessage(), e.getMessage().contains("UTF-8"));
            }
        }
    }

    @Test
    public void depthIsBounded() {
        int most = Json.MAX_DEPTH + 1;
        Json.read(nested("[", most) + nested("]", most));
        refused(nested("[", most + 1) + nested("]", most + 1));
        refused(nested("{\"a\":", 1_000_000));
        refused(nested("[", 1_000_000));
    }

    @Test
    public void refusalsSayWhereAndWhat() {
        assertEquals("expected ']' at character 3, found U+0032", message("[1 2]"));
        assertEquals("expected a value at character 5, found the end", message("{\"a\":"));
        assertEquals("the name 'a' comes twice, at character 7", message("{\"a\":1,\"a\":2}"));
        assertEquals("half a surrogate pair in the text at character 1", message("[\"\\uD83D\"]"));
    }

    @Test
    public void whatIsWrittenIsReadAsTheSame() {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("Сумма \"\\", Arrays.asList(1L, new BigDecimal("2.50"), true, null, "a\n\u0001\u2028\uD83D\uDE00"));
        value.put("", new LinkedHashMap<>());
        value.put("list", Collections.emptyList());
        String text = Json.write(value);
        assertTrue(text, text.chars().allMatch(c -> c >= ' ' && c < 127));
        assertEquals(value, Json.read(text));
        assertEquals("{\"a\":[]}", Json.write(Collections.singletonMap("a", Collections.emptyList())));
    }

    @Test
    public void noDocumentBreaksTheReader() {
        Random random = new Random(7);
        String alphabet = "{}[]\",:\\u0aeE+-.1 trnfalse\uD83D\uDE00\u0000\n";
        int read = 0;
        for (int round = 0; round < 40_000; round++) {
            StringBuilder text = new StringBuilder(round % 2 == 0 ? "" : "{\"a\":[");
            for (int i = random.nextInt(12); i > 0; i--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            try {
                Object value = Json.read(text.toString());
                assertEquals(Json.write(value), Json.write(Json.read(Json.write(value))));
                read++;
            } catch (JsonException expected) {
                continue;
            }
        }
        assertTrue("only " + read + " documents were good", read > 100);
    }

    @Test
    public void membersAreChecked() {
        JsonObject object = JsonObject.of(Json.read("{\"t\":\"x\",\"n\":5,\"big\":1e3,\"no\":null,\"o\":{},\"l\":[1]}"));
        assertEquals("x", object.text("t"));
        assertEquals(5, object.integer("n"));
        assertNull(object.textOrNull("no"));
        assertNull(object.integerOrNull("absent"));
        for (Runnable wrong : new Runnable[] {() -> object.text("n"), () -> object.integer("t"), () -> object.integer("big"),
            () -> object.text("no"), () -> object.flag("n"), () -> object.object("t"), () -> object.objects("l"),
            () -> object.texts("l"), () -> object.texts("o"), () -> JsonObject.of("x"), () -> JsonObject.of(null)}) {
            try {
                wrong.run();
            } catch (JsonException e) {
                continue;
            }
            fail("no refusal");
        }
    }

    private static String digits(int n) {
        return nested("9", n);
    }

    private static String nested(String part, int n) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < n; i++) {
            text.append(part);
        }
        return text.toString();
    }

    private static String message(String text) {
        try {
            Json.read(text);
        } catch (JsonException e) {
            return e.getMessage();
        }
        throw new AssertionError("read: " + text);
    }

    private static void refused(String text) {
        message(text);
    }
}
