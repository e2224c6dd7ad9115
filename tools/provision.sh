#!/bin/sh
# Installs the Debian packages that ocid and its tests use, as far as they are
# missing. Does nothing, and needs no network, when all are there. Never starts
# a service. Needs root.
set -eu

run='runc conmon containernetworking-plugins iptables iproute2 catatonit'
test='docker-registry busybox-static e2fsprogs gcc libc6-dev pkg-config libseccomp-dev make dpkg-dev patch bzip2 xz-utils binutils qemu-system-x86'
policy=/usr/sbin/policy-rc.d

say() { echo "provision: $*"; }

missing=
for package in $run $test; do
	status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done

if [ -n "$missing" ]; then
	[ "$(id -u)" = 0 ] || { say "missing:$missing; only root can install them" >&2; exit 1; }
	say "installing$missing"
	if [ ! -e $policy ]; then
		# Package scripts ask this program before they start a service.
		trap 'rm -f $policy' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	# shellcheck disable=SC2086 # a list of words
	apt-get -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 install $missing
	case $missing in *docker-registry*)
		[ ! -d /run/systemd/system ] || systemctl --quiet disable docker-registry ;;
	esac
fi

# Host ports and masquerading go through the nat table. A kernel may lack what
# the chosen variant of iptables needs; which one to use is the owner's choice.
if [ "$(id -u)" = 0 ] && ! reason=$(iptables --wait -t nat -S 2>&1 >/dev/null); then
	say "warning: iptables cannot use the nat table: $reason" >&2
	say "warning: try 'update-alternatives --config iptables'" >&2
fi
say "all packages are installed"
