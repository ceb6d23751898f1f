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
helps 'PID|all' stat -h
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
refuses '-serial: .*tcp' run -kernel k -serial tcp:1
refuses '-machine: .*isapc' run -kernel k -machine isapc
refuses '-name: ' run -kernel k -name ''
exit $bad
