#!/usr/bin/env bash
# Builds, documents and tests the Java client with nothing but a JDK and, for the tests, JUnit 4 from Debian's package:
#     build.sh jar     out/java/sco-till.jar, out/java/sco-till-javadoc.jar
#     build.sh test    that, and the tests against the service, with the Python named in SCO_PYTHON
# Without a JDK or JUnit `test` says so and skips; with FORCE=1 that is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=till/java
out=out/java
work=$out/work

skip() {
    echo "**********************************************************************"
    echo "java-test SKIPPED: $1"
    echo "    apt-get install --no-install-recommends openjdk-17-jdk-headless junit4"
    echo "**********************************************************************"
    [ -z "${FORCE:-}" ] || exit 1
    exit 0
}

compile() { # FOLDER OPTIONS... : all sources under FOLDER/java
    local from=$1
    shift
    find "$from/java" -name '*.java' -print0 | sort -z |
        xargs -0 javac -encoding UTF-8 --release 8 -Xlint:all,-options -Werror "$@"
}

build() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
    grep -q "<version>$version</version>" $here/pom.xml || { echo "$here/pom.xml must have version $version"; exit 1; }
    rm -rf "$work"
    mkdir -p "$work/main" "$work/doc"
    compile $here/src/main -Xdoclint:all/protected -d "$work/main"
    printf 'Implementation-Title: sco-till\nImplementation-Version: %s\n' "$version" > "$work/manifest"
    mkdir "$work/main/META-INF"
    cp LICENSE "$work/main/META-INF/LICENSE"
    jar cfm $out/sco-till.jar "$work/manifest" -C "$work/main" .
    javadoc -quiet -encoding UTF-8 -charset UTF-8 --release 8 -Xdoclint:all -Werror -notimestamp -protected \
        -windowtitle "sco-till $version" -d "$work/doc" -sourcepath $here/src/main/java io.github.scopaymaster.till
    jar cf $out/sco-till-javadoc.jar -C "$work/doc" .
    echo "$out/sco-till.jar: $(stat -c %s $out/sco-till.jar) bytes"
}

check() {
    local classes=$out/sco-till.jar:$junit
    mkdir -p "$work/guide/java" "$work/test"
    awk -v to="$work/guide/java" '
        /^```java$/ { text = ""; on = 1; next }
        /^```/ && on { print text > (to "/" name ".java"); on = 0 }
        on { text = text $0 "\n" }
        on && /^public class / { name = $3 }' docs/guide/java.md
    compile "$work/guide" -cp "$classes" -d "$work/test"
    compile $here/src/test -cp "$classes" -d "$work/test"
    java -Xmx128m -Dsco.python="$SCO_PYTHON" -Dsco.root="$PWD" -cp "$work/test:$classes" \
        io.github.scopaymaster.till.RunTests "$work/test" "$@"
}

command -v javac > /dev/null && command -v javadoc > /dev/null || skip "there is no JDK"
case ${1:-} in
jar) build ;;
test)
    junit=${JUNIT:-}
    for jar in /usr/share/java/junit4.jar /usr/share/java/hamcrest.jar /usr/share/java/hamcrest-core.jar; do
        [ ! -e $jar ] || [ -n "${JUNIT:-}" ] || junit=$junit:$jar
    done
    case $junit in *junit4*) ;; *) [ -n "${JUNIT:-}" ] || skip "there is no JUnit 4" ;; esac
    : "${SCO_PYTHON:?the Python of the project, such as .venv/bin/python}"
    shift
    build
    check "$@"
    ;;
*)
    sed -n '2,5s/^# *//p' "$0"
    exit 2
    ;;
esac
