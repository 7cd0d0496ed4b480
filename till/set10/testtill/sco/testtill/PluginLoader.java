package sco.testtill;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import ru.crystals.pos.api.plugin.PaymentPlugin;
import ru.crystals.pos.spi.annotation.Inject;
import ru.crystals.pos.spi.annotation.POSPlugin;

/** Loads a plugin as the till does: metainf.xml, the annotated class, its injected fields, its texts. */
final class PluginLoader {
    final String id;
    final Map<String, String> options = new LinkedHashMap<>();
    final Properties texts = new Properties();
    private final URLClassLoader loader;
    private final File jar;

    PluginLoader(File jar, String language) throws Exception {
        this.jar = jar;
        loader = new URLClassLoader(new URL[] {jar.toURI().toURL()}, PluginLoader.class.getClassLoader());
        try (InputStream in = loader.getResourceAsStream("strings_" + language + ".xml")) {
            texts.loadFromXML(in);
        }
        Document meta;
        try (InputStream in = loader.getResourceAsStream("metainf.xml")) {
            meta = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(in);
        }
        id = ((Element) meta.getElementsByTagName("PaymentPlugin").item(0)).getAttribute("id");
        NodeList found = meta.getElementsByTagName("Options").item(0).getChildNodes();
        for (int i = 0; i < found.getLength(); i++) {
            if (found.item(i) instanceof Element) {
                Element option = (Element) found.item(i);
                options.put(option.getAttribute("key"), option.getAttribute("default-value"));
            }
        }
    }

    /** @param injected what the till has for a field, by the field's type */
    PaymentPlugin load(Map<Class<?>, Object> injected) throws Exception {
        Class<?> type = pluginClass();
        Object plugin = type.getConstructor().newInstance();
        for (Field field : type.getDeclaredFields()) {
            if (field.isAnnotationPresent(Inject.class)) {
                field.setAccessible(true);
                field.set(plugin, injected.get(field.getType()));
            }
        }
        return (PaymentPlugin) plugin;
    }

    private Class<?> pluginClass() throws IOException, ClassNotFoundException {
        try (JarFile all = new JarFile(jar)) {
            for (JarEntry entry : Collections.list(all.entries())) {
                if (entry.getName().endsWith(".class")) {
                    Class<?> type = Class.forName(
                            entry.getName().replace(".class", "").replace('/', '.'), false, loader);
                    POSPlugin found = type.getAnnotation(POSPlugin.class);
                    if (found != null && found.id().equals(id)) {
                        return type;
                    }
                }
            }
        }
        throw new ClassNotFoundException("no class with @POSPlugin(id = \"" + id + "\") in " + jar);
    }
}
