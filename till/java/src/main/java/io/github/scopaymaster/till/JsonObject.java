package io.github.scopaymaster.till;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** An object of an answer, read with checks: what is missing or of another type is {@link JsonException}. */
final class JsonObject {
    private final Map<String, Object> members;

    JsonObject(Map<String, Object> members) {
        this.members = members;
    }

    @SuppressWarnings("unchecked")
    static JsonObject of(Object value) {
        if (!(value instanceof Map)) {
            throw new JsonException("an object was expected, found " + Json.typeName(value));
        }
        return new JsonObject((Map<String, Object>) value);
    }

    /** The member as it is, or null. */
    Object get(String name) {
        return members.get(name);
    }

    String text(String name) {
        return need(name, textOrNull(name));
    }

    String textOrNull(String name) {
        return as(name, String.class, "text");
    }

    long integer(String name) {
        return need(name, integerOrNull(name));
    }

    Long integerOrNull(String name) {
        return as(name, Long.class, "a whole number");
    }

    boolean flag(String name) {
        return need(name, as(name, Boolean.class, "true or false"));
    }

    boolean flagOr(String name, boolean otherwise) {
        Boolean found = as(name, Boolean.class, "true or false");
        return found == null ? otherwise : found;
    }

    JsonObject object(String name) {
        return of(need(name, members.get(name)));
    }

    List<JsonObject> objects(String name) {
        List<JsonObject> found = new ArrayList<>();
        for (Object value : list(name)) {
            found.add(of(value));
        }
        return Collections.unmodifiableList(found);
    }

    List<String> texts(String name) {
        List<String> found = new ArrayList<>();
        for (Object value : list(name)) {
            if (!(value instanceof String)) {
                throw new JsonException("'" + name + "' must be a list of text, found " + Json.typeName(value) + " in it");
            }
            found.add((String) value);
        }
        return Collections.unmodifiableList(found);
    }

    private List<?> list(String name) {
        return need(name, as(name, List.class, "a list"));
    }

    private <T> T as(String name, Class<T> type, String expected) {
        Object value = members.get(name);
        if (value != null && !type.isInstance(value)) {
            throw new JsonException("'" + name + "' must be " + expected + ", found " + Json.typeName(value));
        }
        return type.cast(value);
    }

    private static <T> T need(String name, T value) {
        if (value == null) {
            throw new JsonException("'" + name + "' is missing");
        }
        return value;
    }

    @Override
    public String toString() {
        return Json.write(members);
    }
}
