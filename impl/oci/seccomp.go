package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// SeccompWish is what a security context says about system calls: no filter,
// the default one, or the one in a file of the node.
type SeccompWish struct {
	Default bool
	Path    string // absolute; "" unless the filter is in a file
	// Field of the request that speaks.
	Field string
}

// seccompContext is what containers and sandboxes say in the same words.
type seccompContext interface {
	GetSeccomp() *runtimeapi.SecurityProfile
	GetSeccompProfilePath() string
}

// SeccompOf reads the wish from the field in use or, if that is not set, from
// the deprecated one. None of them set is a process without a filter. A wish
// that cannot be read gives a FieldError.
func SeccompOf(sc seccompContext) (SeccompWish, error) {
	p := sc.GetSeccomp()
	if p == nil {
		return oldSeccomp(sc.GetSeccompProfilePath())
	}
	switch p.GetProfileType() {
	case runtimeapi.SecurityProfile_Unconfined:
		return SeccompWish{}, nil
	case runtimeapi.SecurityProfile_RuntimeDefault:
		return SeccompWish{Default: true}, nil
	}
	return seccompFile("seccomp.localhost_ref", p.GetLocalhostRef())
}

func oldSeccomp(text string) (SeccompWish, error) {
	const field = "seccomp_profile_path"
	switch {
	case text == "" || text == "unconfined":
		return SeccompWish{}, nil
	case text == "runtime/default" || text == "docker/default":
		return SeccompWish{Default: true}, nil
	case strings.HasPrefix(text, localhostPrefix):
		return seccompFile(field, text)
	}
	return SeccompWish{}, invalid(securityField+field, "%.80q is none of runtime/default, unconfined and localhost/<path>", text)
}

func seccompFile(field, ref string) (SeccompWish, error) {
	path := strings.TrimPrefix(ref, localhostPrefix)
	if !strings.HasPrefix(path, "/") {
		return SeccompWish{}, invalid(securityField+field, "%.80q is not an absolute path", path)
	}
	return SeccompWish{Path: path, Field: securityField + field}, nil
}

// Profile gives the profile that is wished for; data is what the file holds, and
// flags are those that the runtime can give to a filter, nil if it does not tell.
// nil is none. A file that is not a whole profile gives a FieldError: a filter
// that is half understood would let through what it was made to stop.
func (w SeccompWish) Profile(data []byte, flags []string) (*seccomp.Seccomp, error) {
	switch {
	case w.Default:
		return seccomp.DefaultProfile(), nil
	case w.Path == "":
		return nil, nil
	}
	p := &seccomp.Seccomp{}
	err := json.Unmarshal(data, p)
	if err == nil {
		err = checkSeccomp(p, flags)
	}
	if err != nil {
		return nil, invalid(w.Field, "%.200q is not a seccomp profile: %v", w.Path, err)
	}
	return p, nil
}

// checkSeccomp looks for what runtimes would stumble over or overlook.
func checkSeccomp(p *seccomp.Seccomp, flags []string) error {
	if !isAction(p.DefaultAction) {
		return fmt.Errorf("defaultAction %.80q is not known", p.DefaultAction)
	}
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return errors.New("both architectures and archMap are given")
	}
	if err := checkArchitectures(p); err != nil {
		return err
	}
	if _, err := errno(p.DefaultErrno, p.DefaultErrnoRet); err != nil {
		return fmt.Errorf("defaultErrno: %w", err)
	}
	for i, call := range p.Syscalls {
		if err := checkCall(call); err != nil {
			return fmt.Errorf("syscalls[%d]: %w", i, err)
		}
	}
	if err := checkFlags(p.Flags, flags); err != nil {
		return err
	}
	return checkNotify(p)
}

// flagTSYNC is in the runtime specification, though not in its package.
const flagTSYNC = "SECCOMP_FILTER_FLAG_TSYNC"

// checkFlags refuses flags that the runtime does not have. One that does not
// tell has those of version 1.0.2 of the runtime specification.
func checkFlags(asked, has []string) error {
	if has == nil {
		has = []string{flagTSYNC, string(specs.LinuxSeccompFlagLog), string(specs.LinuxSeccompFlagSpecAllow)}
	}
	for _, f := range asked {
		if !slices.Contains(has, f) {
			return fmt.Errorf("flag %.80q is none of the runtime's, which are %s", f, strings.Join(has, ", "))
		}
	}
	return nil
}

// checkNotify refuses a filter that asks somebody else where nobody can be
// asked: runtimes need write(2) to hand the listener over.
func checkNotify(p *seccomp.Seccomp) error {
	if p.DefaultAction == seccomp.ActNotify {
		return fmt.Errorf("%s can't be the defaultAction", seccomp.ActNotify)
	}
	for i, call := range p.Syscalls {
		switch {
		case call.Action != seccomp.ActNotify:
		case p.ListenerPath == "":
			return fmt.Errorf("syscalls[%d]: %s needs a listenerPath", i, seccomp.ActNotify)
		case call.Name == "write" || slices.Contains(call.Names, "write"):
			return fmt.Errorf("syscalls[%d]: write can't have the action %s", i, seccomp.ActNotify)
		}
	}
	return nil
}

func checkArchitectures(p *seccomp.Seccomp) error {
	names := slices.Clone(p.Architectures)
	for _, a := range p.ArchMap {
		names = append(append(names, a.Arch), a.SubArches...)
	}
	for _, name := range names {
		if !slices.Contains(knownArchitectures(), name) {
			return fmt.Errorf("architecture %.80q is not known", name)
		}
	}
	return nil
}

func knownArchitectures() []seccomp.Arch {
	return []seccomp.Arch{
		seccomp.ArchNative, seccomp.ArchX86, seccomp.ArchX86_64, seccomp.ArchX32, seccomp.ArchARM, seccomp.ArchAARCH64,
		seccomp.ArchMIPS, seccomp.ArchMIPS64, seccomp.ArchMIPS64N32, seccomp.ArchMIPSEL, seccomp.ArchMIPSEL64, seccomp.ArchMIPSEL64N32,
		seccomp.ArchPPC, seccomp.ArchPPC64, seccomp.ArchPPC64LE, seccomp.ArchS390, seccomp.ArchS390X,
		seccomp.ArchPARISC, seccomp.ArchPARISC64, seccomp.ArchRISCV64, "SCMP_ARCH_LOONGARCH64",
	}
}

func checkCall(call *seccomp.Syscall) error {
	switch {
	case call == nil:
		return errors.New("is null")
	case (call.Name == "") == (len(call.Names) == 0):
		return errors.New("one of name and names must be given")
	case !isAction(call.Action):
		return fmt.Errorf("action %.80q is not known", call.Action)
	case slices.ContainsFunc(call.Args, func(a *seccomp.Arg) bool { return a == nil || !isOperator(a.Op) }):
		return errors.New("an argument has no known op")
	}
	_, err := errno(call.Errno, call.ErrnoRet)
	return err
}

func isAction(a seccomp.Action) bool {
	return slices.Contains([]seccomp.Action{
		seccomp.ActKill, seccomp.ActKillProcess, seccomp.ActKillThread, seccomp.ActTrap, seccomp.ActErrno,
		seccomp.ActTrace, seccomp.ActAllow, seccomp.ActLog, seccomp.ActNotify,
	}, a)
}

func isOperator(o seccomp.Operator) bool {
	return slices.Contains([]seccomp.Operator{
		seccomp.OpNotEqual, seccomp.OpLessThan, seccomp.OpLessEqual, seccomp.OpEqualTo, seccomp.OpGreaterEqual,
		seccomp.OpGreaterThan, seccomp.OpMaskedEqual,
	}, o)
}

// maxErrno is the highest number the kernel gives to an error.
const maxErrno = 4095

// errno gives the number of an error that is named by number or by name; ""
// names none and gives the second one.
func errno(name string, or *uint) (*uint, error) {
	if name == "" {
		return or, nil
	}
	if n, err := strconv.ParseUint(name, 10, 12); err == nil {
		number := uint(n)
		return &number, nil
	}
	for n := uint(1); n <= maxErrno; n++ {
		if unix.ErrnoName(unix.Errno(n)) == name {
			return &n, nil
		}
	}
	return nil, fmt.Errorf("errno %.80q is not known", name)
}

// seccompFilter makes a checked profile the filter of a process that may have
// the capabilities; nil stays nil. The library that owns the profile does this
// only with libseccomp, which a daemon without cgo does not have.
func seccompFilter(p *seccomp.Seccomp, bounding []string) *specs.LinuxSeccomp {
	if p == nil {
		return nil
	}
	filter := &specs.LinuxSeccomp{
		DefaultAction: specs.LinuxSeccompAction(p.DefaultAction), Architectures: architectures(p),
		ListenerPath: p.ListenerPath, ListenerMetadata: p.ListenerMetadata,
	}
	filter.DefaultErrnoRet, _ = errno(p.DefaultErrno, p.DefaultErrnoRet)
	for _, f := range p.Flags {
		filter.Flags = append(filter.Flags, specs.LinuxSeccompFlag(f))
	}
	for _, call := range p.Syscalls {
		if concerns(call, bounding) {
			filter.Syscalls = append(filter.Syscalls, filterCall(call))
		}
	}
	return filter
}

// architectures gives those that the profile names, or of its map the entry of
// this machine. None of them leaves the choice to the runtime.
func architectures(p *seccomp.Seccomp) []specs.Arch {
	names := p.Architectures
	native, err := seccomp.GoArchToSeccompArch(goruntime.GOARCH)
	for _, a := range p.ArchMap {
		if err == nil && a.Arch == native {
			names = append([]seccomp.Arch{a.Arch}, a.SubArches...)
		}
	}
	var out []specs.Arch
	for _, name := range names {
		out = append(out, specs.Arch(name))
	}
	return out
}

// concerns says whether an entry is for this machine and these capabilities.
func concerns(call *seccomp.Syscall, bounding []string) bool {
	arch := goruntime.GOARCH
	if arch == "386" {
		arch = "x86" // the name in profiles
	}
	has := func(name string) bool { return slices.Contains(bounding, name) }
	lacks := func(name string) bool { return !has(name) }
	in, out := call.Includes, call.Excludes
	return !slices.Contains(out.Arches, arch) && !slices.ContainsFunc(out.Caps, has) &&
		(len(in.Arches) == 0 || slices.Contains(in.Arches, arch)) && !slices.ContainsFunc(in.Caps, lacks)
}

func filterCall(call *seccomp.Syscall) specs.LinuxSyscall {
	out := specs.LinuxSyscall{Names: slices.Clone(call.Names), Action: specs.LinuxSeccompAction(call.Action)}
	if call.Name != "" {
		out.Names = []string{call.Name}
	}
	out.ErrnoRet, _ = errno(call.Errno, call.ErrnoRet)
	for _, a := range call.Args {
		out.Args = append(out.Args, specs.LinuxSeccompArg{Index: a.Index, Value: a.Value, ValueTwo: a.ValueTwo, Op: specs.LinuxSeccompOperator(a.Op)})
	}
	return out
}
