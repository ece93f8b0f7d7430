#!/bin/sh
# Lays out what the image holds: the relay, the libraries that it is linked to, and the few files that
# these look for. No shell, no package manager.
#
# rootfs.sh PROGRAM FOLDER [MORE...]: PROGRAM becomes /usr/bin/edgerelay. MORE are programs that pipelines
# of workers run, such as /usr/bin/ffmpeg; each keeps its path and brings its libraries.
set -eu

program=$1
root=$2
shift 2
umask 022

libraries() {
    # Lines are "NAME => PATH (ADDRESS)" and, for the dynamic linker, "PATH (ADDRESS)".
    ldd "$1" | while read -r first second path _; do
        case $first:$second in
            /*:*) echo "$first" ;;
            *:=\>) echo "$path" ;;
        esac
    done
}

# A library is put where the program looks for it, and is a file there whatever it is here.
place() {
    mkdir -p "$root${1%/*}"
    cp --dereference "$1" "$root$1"
}

mkdir -p "$root/usr/bin" "$root/etc/edgerelay" "$root/proc" "$root/dev" "$root/tmp"
cp "$program" "$root/usr/bin/edgerelay"
chmod 755 "$root/usr/bin/edgerelay"
for file in "$@"; do place "$file"; done
for file in "$program" "$@"; do libraries "$file"; done | sort -u | while read -r library; do
    place "$library"
done
# Names are looked up by DNS; these two are loaded for it and linked by nobody.
directory=$(libraries "$program" | grep '/libc\.so' | sed 's,/libc\.so.*,,')
for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
    if [ -e "$directory/$library" ]; then place "$directory/$library"; fi
done

echo 'edgerelay:x:65532:65532::/:/sbin/nologin' > "$root/etc/passwd"
echo 'edgerelay:x:65532:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
