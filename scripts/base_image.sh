#!/usr/bin/env bash
# Makes a small base image of this machine's own Python, without any registry of images: the
# interpreter with its library, a shell, and the shared libraries that these and wheels need.
#   scripts/base_image.sh <image> [<python>]
# The engine is that of DOCKER_HOST.
set -euo pipefail
image=$1
python=$(command -v "${2:-python3}")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

read -r prefix version binary < <("$python" - <<'PY'
import os, sys
binary = os.path.realpath(os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2]))
print(sys.base_prefix, "python%d.%d" % sys.version_info[:2], binary)
PY
)
mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev,root} "$root/usr/local/bin" "$root/usr/local/lib"
cp "$binary" "$root/usr/local/bin/$version"
ln -s "$version" "$root/usr/local/bin/python3"
ln -s "$version" "$root/usr/local/bin/python"
tar -C "$prefix/lib" --exclude=site-packages --exclude=dist-packages --exclude='test' \
    --exclude='__pycache__' --exclude='*.a' -cf - "$version" | tar -C "$root/usr/local/lib" -xf -
site=$root/usr/local/lib/$version/site-packages
mkdir -p "$site"
for pip in "$root/usr/local/lib/$version"/ensurepip/_bundled/pip-*.whl; do
    [ -e "$pip" ] && "$python" -m zipfile -e "$pip" "$site"
done
for tool in sh env cat ls mkdir rm uname sleep; do
    cp -L "$(command -v "$tool")" "$root/bin/"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"

# What the programs and the library's extensions are linked with, and what wheels expect.
{
    ldd "$root"/bin/* "$root/usr/local/bin/$version" \
        "$root/usr/local/lib/$version"/lib-dynload/*.so 2>/dev/null
    ldconfig -p | grep -E 'lib(stdc\+\+|gcc_s|gomp|m|dl|rt|pthread|util|z)\.so' | grep x86-64 || true
} | grep -oE '/[^ )]+' | sort -u | while read -r library; do
    if [ -e "$library" ] && [ "${library#"$root"}" = "$library" ]; then
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    fi
done
echo /usr/local/lib >"$root/etc/ld.so.conf"
if command -v ldconfig >/dev/null; then ldconfig -r "$root" 2>/dev/null || true; fi

tar -C "$root" -cf - . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
    --change 'ENV LANG=C.UTF-8' - "$image" >/dev/null
docker run --rm --network none "$image" python3 -c 'import ssl, ctypes, sqlite3, lzma' ||
    echo "base image: some optional parts of Python's library are missing" >&2
docker run --rm --network none "$image" python3 --version
