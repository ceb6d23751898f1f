#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage_test.sh LODGE: help goes to standard output with status 0; a mistake
# is one line on standard error that names it, nothing on standard output,
# and status 2. No KVM is opened for any of it.
set -u
lodge=$1
out=$(mktemp)
err=$(mktemp)
trap 'rm -f "$out" "$err"' EXIT
bad=0

fail()
{
	echo "FAILED: $*"
	cat "$out" "$err"
	bad=1
}

# helps PHRASE WORD...
helps()
{
	phrase=$1
	shift
	"$lodge" "$@" >"$out" 2>"$err" || fail "status of: $*"
	grep -q -e "$phrase" "$out" || fail "'$phrase' is not in: $*"
	[ ! -s "$err" ] || fail "stderr of: $*"
}

# refuses PHRASE WORD...
refuses()
{
	phrase=$1
	shift
	"$lodge" "$@" >"$out" 2>"$err"
	[ $? -eq 2 ] || fail "status of: $*"
	grep -q -e "$phrase" "$err" || fail "'$phrase' is not in: $*"
	[ "$(wc -l <"$err")" -eq 1 ] || fail "lines of: $*"
	[ ! -s "$out" ] || fail "stdout of: $*"
}

helps 'usage: lodge SUBCOMMAND'
helps 'run a virtual machine' --help
helps 'lodge [0-9]' --version
helps '-kernel FILE' run --help
helps 'Exit status' run -h
helps '-kernel FILE' run -m 1G -help
helps 'PROGRAM' kvm --help
helps 'Exit status' doctor --help
helps 'virtio-net-pci, virtio-net-device' run -device help
helps 'virtserialport' run -device help
# Every device and network says what it takes: name, type and default.
for d in $("$lodge" run -device help | sed 's/,.*//'); do
	helps '(default: \|has no properties' run -device "$d,help"
done
helps 'iobase=<number>.*(default: 0x501)' run -device isa-debug-exit,help
helps 'virtio-net.packed=<on|off>.*(default: off)' \
	run -device virtio-net-pci,help
helps 'virtio-net.mac=<text>' run -device virtio-net-pci,help
helps 'vhost-user' run -netdev help
for n in $("$lodge" run -netdev help); do
	helps "$n\\..*=<.*(default: " run -netdev "$n,help"
done
helps 'rng-random.filename=<text>' run -object rng-random,help
helps 'PID|all' stat -h
helps 'sort by processor' top --help
helps 'preallocation' img --help
refuses "'boil' is not a subcommand" boil
refuses 'no program' kvm
refuses 'boil' doctor boil
refuses 'process' stat
refuses "'--boil' is not a subcommand" --boil
refuses '-kernel is required' run
refuses "'-boil'" run -kernel k -boil
refuses "'--boil'" run -kernel k --boil
refuses "'k' is not an option" run k
refuses "'-' is not an option" run -
refuses "'-m' needs a value" run -kernel k -m
refuses '-m: .*12x' run -kernel k -m 12x
refuses '-m: .*12x' run --kernel k --m 12x
refuses '-smp: .*two' run -kernel k -smp two
refuses '-accel: .*warp' run -kernel k -accel warp
refuses '-cpu: .*Z80' run -kernel k -cpu Z80
refuses '-device: .*e1000' run -kernel k -device e1000
refuses '-serial: .*HOST:PORT' run -kernel k -serial tcp:1
refuses '-machine: .*isapc' run -kernel k -machine isapc
refuses '-name: ' run -kernel k -name ''
helps 'pc-i440fx-5.2' run -machine help
helps 'also called q35' run -machine help
helps 'EPYC-Milan-v4' run -cpu help
helps 'EPYC-Milan-v4' cpu list
helps 'EPYC is EPYC-v5\|is EPYC-v5 with' cpu list -machine microvm
helps 'usage: lodge cpu' cpu
helps 'usage: lodge cpu' cpu show --help
helps '2 dies, 4 cores, 8 threads' cpu show Skylake-Server \
	-machine pc-q35-10.0 -smp 8,dies=2,threads=2
helps '"vendor": "AuthenticAMD"' cpu show EPYC-v4 --json
helps 'features of EPYC-Milan alone' cpu diff EPYC-Rome EPYC-Milan
helps 'no difference' cpu diff EPYC EPYC-v1
helps 'number of caches in leaf 2' cpu diff Conroe@pc-q35-10.0 Conroe@q35
helps '^0 0 0 0000000d 756e6547 6c65746e 49656e69$' cpu dump -cpu Haswell
helps '^Haswell-v2' cpu baseline Haswell-v2 Broadwell-v2
refuses "'boil' is not a verb" cpu boil
refuses "'Z80'" cpu show Z80
refuses 'needs a KVM' cpu dump -cpu host
refuses 'no caches of its own' cpu dump -cpu Haswell,legacy-cache=off
refuses 'neither dies nor modules' cpu dump -cpu base -machine microvm \
	-smp 2,dies=2
refuses '-speed' cpu show base -speed 3
refuses 'no such\|No such' cpu decode /nonexistent
"$lodge" cpu dump -cpu EPYC-Rome -smp 2 >"$out.dump"
helps 'AMD EPYC-Rome Processor' cpu decode "$out.dump"
helps 'no difference' cpu diff EPYC-Rome "$out.dump" -smp 2
printf '%s\n' '-cpu Haswell -smp 2' '-cpu Z80' \
	'-cpu EPYC,vendor=  Shanghai   -machine q35' >"$out.batch"
helps '^== -cpu Haswell -smp 2 ok$' cpu dump --batch "$out.batch"
helps '^== -cpu Z80 refused: ' cpu dump --batch "$out.batch"
helps '^0 0 0 0000000d 68532020 20206961 68676e61$' cpu dump \
	--batch "$out.batch"
rm -f "$out.dump" "$out.batch"
exit $bad
