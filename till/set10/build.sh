#!/bin/sh
# Build the Set Retail 10 plugin and its test till into OUT (out/set10), with javac and jar of JDK 17 or later.
# SET10_API_JAR names CSI's own API jar: then everything is compiled against it too, and the signatures in api-signatures
# are compared with it. BUILD_MACHINE and VENDOR_EMAIL go into the manifest.
set -eu
cd "$(dirname "$0")/../.."
out=${OUT:-out/set10}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
plugin=$out/sco-paymaster-set10-$version.jar
rm -rf "$out"
mkdir -p "$out/api" "$out/plugin" "$out/till"

compile() { # TARGET CLASSPATH SOURCES...
    target=$1 path=$2
    shift 2
    find "$@" -name '*.java' -print0 | xargs -0 javac --release 8 -encoding UTF-8 -Xlint:all,-options -Werror \
        -cp "$path" -d "$target"
}

compile "$out/api" . till/set10/api-signatures
compile "$out/plugin" "$out/api" till/java/src/main/java till/set10/src
compile "$out/till" "$out/api" till/set10/testtill
cp till/set10/resources/*.xml "$out/plugin/"

if [ -n "${SET10_API_JAR:-}" ]; then
    slf4j=${SLF4J_JAR:-/usr/share/java/slf4j-api.jar}
    python3 till/set10/check_signatures.py till/set10/api-signatures "$out/api" "$SET10_API_JAR:$slf4j"
    mkdir -p "$out/real/plugin" "$out/real/till"
    compile "$out/real/plugin" "$SET10_API_JAR:$slf4j" till/java/src/main/java till/set10/src
    compile "$out/real/till" "$SET10_API_JAR:$slf4j" till/set10/testtill
fi

# The commit's time, so that the same commit gives the same jar.
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
cat > "$out/manifest" <<EOF
Project: SCO PayMaster for Set Retail 10
Implementation-Version: $version
Implementation-Vendor: sco-paymaster maintainers
Vendor-Email: ${VENDOR_EMAIL:-security@sco-paymaster.invalid}
Build-Date: $(date -u -d "@$seconds" '+%d.%m.%Y %H:%M:%S')
Build-Machine: ${BUILD_MACHINE:-$(uname -n)}
Branch: $(git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
Revision: $(git rev-parse --short HEAD 2>/dev/null || echo unknown)
EOF
jar --create --file "$plugin" --date "$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ)" --manifest "$out/manifest" -C "$out/plugin" .
echo "$plugin"
