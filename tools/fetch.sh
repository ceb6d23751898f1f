# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Read by the scripts that fetch Debian packages into the cache folder. apt
# fetches and checks them; nothing is installed and no privilege is needed.
# Newer suites have an apt state of their own in the cache, on the mirror that
# the machine's own configuration names.
# The reader sets $tool, the name messages start with.

# shellcheck disable=SC2034 # of the readers
cache=${LODGE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set, set LODGE_CACHE}/.cache}}/lodge
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
	echo "$tool: $*" >&2
	exit 1
}

say()
{
	echo "$tool: $*" >&2
}

# need PROGRAM...
need()
{
	for p in "$@"; do
		command -v "$p" >/dev/null || die "needs $p (run make setup)"
	done
}

# The machine's Debian mirrors: lines "URI RELEASE", this suite's own first.
mirrors()
{
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' \
		'Created-By: Packages' 'Component: main' |
		awk -v c="$codename" '$2 ~ "^" c "(-security|-updates)?$"' |
		sort -u -k2,2
}

# private_apt SUITE COMMAND...: an apt-get with its own state. SUITE "own" is
# what the machine follows, anything else is looked for on the same mirror.
private_apt()
{
	suite=$1
	shift
	state=$cache/apt-$suite
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	if [ ! -s "$state/sources.list" ]; then
		if [ "$suite" = own ]; then
			mirrors | sed 's/.*/& main/' >"$state/new"
		else
			mirrors | awk -v s="$suite" \
				'NR == 1 { print $1, s, "main" }' >"$state/new"
		fi
		[ -s "$state/new" ] ||
			die "the machine's apt configuration names no Debian mirror"
		sed -i "s,^,deb [signed-by=$keyring] ," "$state/new"
		mv "$state/new" "$state/sources.list"
	fi
	program=$1
	shift
	"$program" -q -o Dir::Etc::SourceList="$state/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$state/lists" \
		-o Dir::Cache="$state/cache" \
		-o APT::Sandbox::User=root "$@"
}

# apt_in SUITE COMMAND...: the machine's own lists, or a private state.
apt_in()
{
	if [ "$1" = machine ]; then
		shift
		program=$1
		shift
		"$program" -q -o APT::Sandbox::User=root "$@"
	else
		private_apt "$@"
	fi
}

# unpack SUITE PACKAGE FOLDER: fetches one package and unpacks it.
unpack()
{
	rm -rf "$3"
	mkdir -p "$3/deb"
	(cd "$3/deb" && apt_in "$1" apt-get download "$2" >log 2>&1) || {
		tail -n 3 "$3/deb/log" >&2
		return 1
	}
	dpkg-deb -x "$3"/deb/*.deb "$3/root" || return 1
	rm -rf "$3/deb"
}

# get_package SUITE PACKAGE FOLDER: the machine's own lists first, and lists
# of our own where it has none or stale ones.
get_package()
{
	if [ "$1" = own ]; then
		unpack machine "$2" "$3" 2>/dev/null && return
	fi
	private_apt "$1" apt-get update >&2
	unpack "$1" "$2" "$3" || die "cannot fetch $2"
}
