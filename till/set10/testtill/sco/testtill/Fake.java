package sco.testtill;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** Plays an interface of the till's API by the methods of an object that have the same name and parameters. */
final class Fake {
    private Fake() {}

    static <T> T of(Class<T> type, Object player) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
            Method played;
            try {
                played = player.getClass().getMethod(method.getName(), method.getParameterTypes());
            } catch (NoSuchMethodException missing) {
                throw new UnsupportedOperationException("the test till does not play " + method);
            }
            try {
                return played.invoke(player, arguments);
            } catch (InvocationTargetException thrown) {
                throw thrown.getCause();
            }
        }));
    }
}
