package target

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Names of variables that probes override with [T.Reconfigure]. A profile that
// supports the change has the variable in its [variables] table.
const (
	VarDefaultHandler    = "DEFAULT_HANDLER"    // runtime handler for ""
	VarPrivilegedHandler = "PRIVILEGED_HANDLER" // the privileged one; "" is none
	VarInfra             = "INFRA"              // "auto" or "always"
	VarStallTimeout      = "STALL_TIMEOUT"      // of image pulls, as "10s"
	VarStreamIdle        = "STREAM_IDLE"        // after which an idle stream ends, as "4h"
	VarStreamURL         = "STREAM_URL"         // how long a stream's URL waits, as "1m"
	VarStreamCert        = "STREAM_CERT"        // PEM files of the streams' certificate and key
	VarStreamKey         = "STREAM_KEY"
	VarPidsLimit         = "PIDS_LIMIT"    // of each container; "0" is none
	VarCapabilities      = "CAPABILITIES"  // of a container that asks for nothing, as `["KILL"]`
	VarLogSizeMax        = "LOG_SIZE_MAX"  // of each container's log, in bytes; "-1" is none
	VarVolumes           = "VOLUMES"       // what becomes of those that images declare: "bind", "mkdir" or "ignore"
	VarDaemon            = "DAEMON"        // path of the daemon's program
	VarCDIDir            = "CDI_DIR"       // where the daemon looks for CDI specs; it need not exist
	VarMachine           = "MACHINE"       // what the name of the process begins with that is the kernel of a pod with one of its own
	VarRuntime           = "MAIN_RUNTIME"  // the OCI runtime of the first handler
	VarPlainDevices      = "PLAIN_DEVICES" // "true": privileged containers on the privileged handler have no devices of the host
)

// Variables maps names to the values that ${NAME} in a profile stands for. The
// suite sets
//
//	WORK      a directory of this run, short, mode 0711
//	ROOT      ${WORK}/root, the daemon's persistent directory
//	RUNROOT   ${WORK}/run, its volatile one
//	LISTEN    ${WORK}/s, the path of its socket
//	BIN       the directory of the witness programs
//	REGISTRY  host:port of the image registry, plain HTTP
//	ID        a short name of this run: letters and digits
//	NETWORK   a CNI network name of this run
//	BRIDGE    an interface name of this run
//	SUBNET    an IPv4 /24 no host address is in; GATEWAY its .1; SUBNET_PREFIX its first three numbers and a dot
//	SUBNET6   an IPv6 /64; GATEWAY6 its ::1
//	CGROUP    the cgroup parent of all pods
//
// The profile's variables, flags and overrides come on top; a name that none of
// them sets is looked up in the environment.
type Variables map[string]string

var (
	placeholder  = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)\}`)
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// Expand replaces each ${NAME} in text. Values may hold placeholders
// themselves. A name without a value, or one that leads back to itself, is an
// error.
func (v Variables) Expand(text string) (string, error) { return v.expand(text, nil) }

func (v Variables) expand(text string, seen []string) (string, error) {
	var errs []error
	out := placeholder.ReplaceAllStringFunc(text, func(m string) string {
		name := placeholder.FindStringSubmatch(m)[1]
		if slices.Contains(seen, name) {
			errs = append(errs, fmt.Errorf("variable %s leads back to itself", name))
			return ""
		}
		value, ok := v[name]
		if !ok {
			value, ok = os.LookupEnv(name)
		}
		if !ok {
			errs = append(errs, fmt.Errorf("variable %s has no value", name))
			return ""
		}
		value, err := v.expand(value, append(slices.Clone(seen), name))
		if err != nil {
			errs = append(errs, err)
		}
		return value
	})
	return out, errors.Join(errs...)
}

func (v Variables) expandAll(texts []string) ([]string, error) {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		s, err := v.Expand(t)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// with returns the variables with others on top.
func (v Variables) with(others ...map[string]string) Variables {
	out := Variables{}
	maps.Copy(out, v)
	for _, o := range others {
		maps.Copy(out, o)
	}
	return out
}

// builtin returns the variables that the suite sets for the work directory.
func builtin(work, bin string) (Variables, error) {
	var random [5]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("make a name: %w", err)
	}
	id := hex.EncodeToString(random[:3])
	prefix, err := freePrefix(random[3], random[4])
	if err != nil {
		return nil, err
	}
	subnet6 := fmt.Sprintf("fdc1:%s:%02x%02x", id[:4], random[2], random[3])
	return Variables{
		"WORK": work, "ROOT": filepath.Join(work, "root"), "RUNROOT": filepath.Join(work, "run"),
		"LISTEN": filepath.Join(work, "s"), "BIN": bin, "ID": id, "NETWORK": "cri" + id, "BRIDGE": "cri" + id,
		"SUBNET": prefix + "0/24", "SUBNET_PREFIX": prefix, "GATEWAY": prefix + "1",
		"SUBNET6": subnet6 + "::/64", "GATEWAY6": subnet6 + "::1", "CGROUP": "/cri" + id,
	}, nil
}

// freePrefix finds a /24 below 10.0.0.0/8 that no address of this host's
// network namespace is in, beginning with 10.a.b.
func freePrefix(a, b byte) (string, error) {
	used, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return "", fmt.Errorf("list addresses: %w", err)
	}
	for range 1 << 16 {
		subnet := net.IPNet{IP: net.IPv4(10, a, b, 0).To4(), Mask: net.CIDRMask(24, 32)}
		taken := slices.ContainsFunc(used, func(x netlink.Addr) bool {
			return subnet.Contains(x.IP) || x.Contains(subnet.IP)
		})
		if !taken {
			return strings.TrimSuffix(subnet.IP.String(), "0"), nil
		}
		if b++; b == 0 {
			a++
		}
	}
	return "", errors.New("no free subnet below 10.0.0.0/8")
}
