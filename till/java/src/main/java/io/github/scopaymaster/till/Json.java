package io.github.scopaymaster.till;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON (RFC 8259), strictly: no comments, no trailing commas, no duplicate names, no lone surrogates, nothing after the
 * document. Objects are {@link LinkedHashMap}, lists {@link ArrayList}, text {@link String}, whole numbers {@link Long},
 * other numbers and larger ones {@link BigDecimal}, then {@link Boolean} and null.
 */
final class Json {
    /** Nesting beyond this is refused before it can use up the stack. */
    static final int MAX_DEPTH = 32;

    /** A number longer than this is refused: nothing that the service says needs it, and long ones cost quadratic time. */
    static final int MAX_NUMBER_CHARS = 64;

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    // --- reading ------------------------------------------------------------------------------------------------

    /** The document in these octets, which must be UTF-8 without a byte order mark. */
    static Object read(byte[] octets) {
        try {
            return read(StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT).decode(ByteBuffer.wrap(octets)).toString());
        } catch (CharacterCodingException e) {
            throw new JsonException("not UTF-8");
        }
    }

    static Object read(String text) {
        Json reader = new Json(text);
        reader.space();
        Object value = reader.value(0);
        reader.space();
        if (reader.at < text.length()) {
            throw reader.wrong("the end");
        }
        return value;
    }

    private Object value(int depth) {
        if (depth > MAX_DEPTH) {
            throw new JsonException("nested deeper than " + MAX_DEPTH + " at character " + at);
        }
        switch (peek()) {
            case '{':
                return object(depth);
            case '[':
                return list(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        space();
        if (take('}')) {
            return members;
        }
        do {
            space();
            int start = at;
            if (peek() != '"') {
                throw wrong("a name");
            }
            String name = string();
            space();
            need(':');
            space();
            if (members.containsKey(name)) {
                throw new JsonException("the name '" + name + "' comes twice, at character " + start);
            }
            members.put(name, value(depth + 1));
            space();
        } while (take(','));
        need('}');
        return members;
    }

    private List<Object> list(int depth) {
        List<Object> values = new ArrayList<>();
        at++;
        space();
        if (take(']')) {
            return values;
        }
        do {
            space();
            values.add(value(depth + 1));
            space();
        } while (take(','));
        need(']');
        return values;
    }

    private String string() {
        StringBuilder found = new StringBuilder();
        int start = at++;
        while (true) {
            char c = next("the text's end");
            if (c == '"') {
                break;
            } else if (c == '\\') {
                found.append(escaped());
            } else if (c < ' ') {
                at--;
                throw wrong("no control character in text");
            } else {
                found.append(c);
            }
        }
        for (int i = 0; i < found.length(); i++) {
            if (!Character.isSurrogate(found.charAt(i))) {
                continue;
            }
            if (i + 1 == found.length() || !Character.isSurrogatePair(found.charAt(i), found.charAt(i + 1))) {
                throw new JsonException("half a surrogate pair in the text at character " + start);
            }
            i++;
        }
        return found.toString();
    }

    private char escaped() {
        char c = next("an escape");
        switch (c) {
            case '"':
            case '\\':
            case '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    char digit = next("a hexadecimal digit");
                    int number = digit < 128 ? Character.digit(digit, 16) : -1;
                    if (number < 0) {
                        at--;
                        throw wrong("a hexadecimal digit");
                    }
                    code = code * 16 + number;
                }
                return (char) code;
            default:
                at--;
                throw wrong("an escape");
        }
    }

    private Object number() {
        int start = at;
        boolean whole = true;
        take('-');
        if (!take('0')) {
            digits();
        }
        if (take('.')) {
            whole = false;
            digits();
        }
        if (take('e') || take('E')) {
            whole = false;
            if (!take('+')) {
                take('-');
            }
            digits();
        }
        if (at - start > MAX_NUMBER_CHARS) {
            throw new JsonException("a number of " + (at - start) + " characters at character " + start);
        }
        String found = text.substring(start, at);
        if (whole) {
            BigInteger integer = new BigInteger(found);
            return integer.bitLength() < Long.SIZE ? (Object) integer.longValue() : new BigDecimal(integer);
        }
        try {
            return new BigDecimal(found);
        } catch (NumberFormatException e) {
            throw new JsonException("the number at character " + start + " is too large");
        }
    }

    private void digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw wrong(start > 0 && isNumberPart(text.charAt(start - 1)) ? "a digit" : "a value");
        }
    }

    private static boolean isNumberPart(char c) {
        return "+-.eE".indexOf(c) >= 0;
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw wrong("a value");
        }
        at += word.length();
        return value;
    }

    private void space() {
        while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() {
        return at < text.length() ? text.charAt(at) : '\0';
    }

    private char next(String expected) {
        if (at >= text.length()) {
            throw wrong(expected);
        }
        return text.charAt(at++);
    }

    private boolean take(char c) {
        if (at < text.length() && text.charAt(at) == c) {
            at++;
            return true;
        }
        return false;
    }

    private void need(char c) {
        if (!take(c)) {
            throw wrong("'" + c + "'");
        }
    }

    private JsonException wrong(String expected) {
        String found = at < text.length() ? String.format("U+%04X", (int) text.charAt(at)) : "the end";
        return new JsonException("expected " + expected + " at character " + at + ", found " + found);
    }

    /** For messages: the JSON type of a value that was read. */
    static String typeName(Object value) {
        if (value == null) {
            return "null";
        }
        if (value instanceof Map) {
            return "an object";
        }
        if (value instanceof List) {
            return "a list";
        }
        if (value instanceof String) {
            return "text";
        }
        return value instanceof Boolean ? "true or false" : "a number";
    }

    // --- writing ------------------------------------------------------------------------------------------------

    /** A value of the types that reading gives, as JSON in ASCII: what is sent survives every wrong charset. */
    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value == null || value instanceof Boolean || value instanceof Long || value instanceof Integer) {
            out.append(value);
        } else if (value instanceof BigDecimal) {
            out.append(value);
        } else if (value instanceof String) {
            writeText((String) value, out);
        } else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet()) {
                out.append(before);
                writeText((String) member.getKey(), out);
                out.append(':');
                write(member.getValue(), out);
                before = ",";
            }
            out.append("{".equals(before) ? "{}" : "}");
        } else if (value instanceof List) {
            out.append('[');
            for (Iterator<?> values = ((List<?>) value).iterator(); values.hasNext();) {
                write(values.next(), out);
                out.append(values.hasNext() ? "," : "");
            }
            out.append(']');
        } else {
            throw new IllegalArgumentException("no JSON for " + value.getClass().getName());
        }
    }

    private static void writeText(String text, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c >= ' ' && c < 127) {
                out.append(c);
            } else {
                out.append(String.format("\\u%04x", (int) c));
            }
        }
        out.append('"');
    }
}
