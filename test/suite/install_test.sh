#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts into a prefix is whole, runs from there, and can be
# built against. install_test.sh BUILD IMAGE SOURCES
set -eu
build=$1 image=$2 sources=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
unset LD_LIBRARY_PATH # the installed library must be found without
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
lodge=$(find "$root" -path '*/bin/lodge')
prefix=${lodge%/bin/lodge}

manuals=$(cd "$sources/doc/man" && ls ./*.1)
for file in bin/lodge include/lodge.h lib/liblodge.so lib/liblodge-shim.so \
	$(printf 'share/man/man1/%s ' $manuals); do
	[ -e "$prefix/$file" ] || {
		echo "$file is missing"
		exit 1
	}
done

status=0
"$lodge" run -accel lodge -nodefaults -serial stdio -no-reboot \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$image" \
	-append 4k </dev/null >"$root/out" || status=$?
tail -n 1 "$root/out"
[ $status = 1 ] # isa-debug-exit's for a pass

cat >"$root/client.c" <<'END'
#include <lodge.h>
#include <linux/kvm.h>
int main(void)
{
	int kvm = lodge_open();

	return lodge_ioctl(kvm, KVM_GET_API_VERSION, 0) != 12;
}
END
cc -I "$prefix/include" -o "$root/client" "$root/client.c" \
	-L "$prefix/lib" -llodge -Wl,-rpath,"$prefix/lib"
"$root/client"
"$lodge" kvm -- true # the shim is where it looks for it
