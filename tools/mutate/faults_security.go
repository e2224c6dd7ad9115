package main

// faultsSecurity break the promises about what a process in a container may do.
var faultsSecurity = []fault{
	{rule: "security.seccomp.default", op: "no filter", file: "impl/oci/seccomp.go",
		old: `		return seccomp.DefaultProfile(), nil`, with: `		return nil, nil`},
	{rule: "security.seccomp.default", op: "without what capabilities are for", file: "impl/oci/container.go",
		old: `seccompFilter(in.Seccomp, process.Capabilities.Bounding)`, with: `seccompFilter(in.Seccomp, nil)`},
	{rule: "security.seccomp.default", op: "as if with all capabilities", file: "impl/oci/container.go",
		old: `seccompFilter(in.Seccomp, process.Capabilities.Bounding)`, with: `seccompFilter(in.Seccomp, in.Host.Capabilities)`},
	{rule: "security.seccomp.default", op: "lets all through", file: "impl/oci/seccomp.go",
		old: `		return seccomp.DefaultProfile(), nil`, with: `		return &seccomp.Seccomp{DefaultAction: seccomp.ActAllow}, nil`},

	{rule: "security.seccomp.localhost", op: "the default one", file: "impl/oci/seccomp.go",
		old: `	return SeccompWish{Path: path, Field: securityField + field}, nil`, with: `	return SeccompWish{Default: true}, nil`},
	{rule: "security.seccomp.localhost", op: "none", file: "impl/oci/seccomp.go",
		old: `	return SeccompWish{Path: path, Field: securityField + field}, nil`, with: `	return SeccompWish{}, nil`},
	{rule: "security.seccomp.localhost", op: "errors have no name", file: "impl/oci/seccomp.go",
		old: `		return or, nil
	}
	if n,`, with: `		return or, nil
	}
	if true {
		return or, nil
	}
	if n,`},
	{rule: "security.seccomp.localhost", op: "errors have no number", file: "impl/oci/seccomp.go",
		old: `	if name == "" {
		return or, nil`, with: `	if name == "" {
		return nil, nil`},
	{rule: "security.seccomp.localhost", op: "whatever the arguments", file: "impl/oci/seccomp.go",
		old: `	for _, a := range call.Args {`, with: `	for _, a := range call.Args[:0] {`},
	{rule: "security.seccomp.localhost", op: "one value", file: "impl/oci/seccomp.go",
		old: `ValueTwo: a.ValueTwo, `, with: ``},
	{rule: "security.seccomp.localhost", op: "nothing is excluded", file: "impl/oci/seccomp.go",
		old: `!slices.ContainsFunc(out.Caps, has) &&`, with: `(has == nil || out.Caps == nil || true) &&`},
	{rule: "security.seccomp.localhost", op: "nothing is included", file: "impl/oci/seccomp.go",
		old: `!slices.ContainsFunc(in.Caps, lacks)`, with: `(len(in.Caps) == 0 || !lacks("CAP"))`},
	{rule: "security.seccomp.localhost", op: "one name is none", file: "impl/oci/seccomp.go",
		old: `		out.Names = []string{call.Name}`, with: `		out.Names = []string{"none"}`},
	{rule: "security.seccomp.localhost", op: "the first one of all", file: "impl/server/security.go",
		old: `	return wish.Profile(data, s.seccompFlags(handler))`, with: `	if firstProfile == nil {
		firstProfile = data
	}
	return wish.Profile(firstProfile, s.seccompFlags(handler))
}

var firstProfile []byte

func lastProfile() {`},

	{rule: "security.seccomp.none", op: "the default one", file: "impl/oci/seccomp.go",
		old: `	case runtimeapi.SecurityProfile_Unconfined:
		return SeccompWish{}, nil`, with: `	case runtimeapi.SecurityProfile_Unconfined:
		return SeccompWish{Default: true}, nil`},
	{rule: "security.seccomp.none", op: "the default if nothing is asked for", file: "impl/oci/seccomp.go",
		old: `	case text == "" || text == "unconfined":`, with: `	case text == "":
		return SeccompWish{Default: true}, nil
	case text == "unconfined":`},
	{rule: "security.seccomp.none", op: "the pod's", file: "impl/server/security.go",
		old: `	wish, err := oci.SeccompOf(sc)
	if err != nil {
		return err
	}`, with: `	wish, err := oci.SeccompOf(sc)
	if err != nil {
		return err
	}
	if wish.Path == "" && !wish.Default {
		wish, _ = oci.SeccompOf(in.Sandbox.GetLinux().GetSecurityContext())
	}`},

	{rule: "security.seccomp.old", op: "ignored", file: "impl/oci/seccomp.go",
		old: `		return oldSeccomp(sc.GetSeccompProfilePath())`, with: `		return oldSeccomp("")`},
	{rule: "security.seccomp.old", op: "before the new one", file: "impl/oci/seccomp.go",
		old: `	if p == nil {
		return oldSeccomp(`, with: `	if p == nil || sc.GetSeccompProfilePath() != "" {
		return oldSeccomp(`},
	{rule: "security.seccomp.old", op: "no name of Docker's", file: "impl/oci/seccomp.go",
		old: `text == "runtime/default" || text == "docker/default"`, with: `text == "runtime/default"`},
	{rule: "security.seccomp.old", op: "no files", file: "impl/oci/seccomp.go",
		old: `	case strings.HasPrefix(text, localhostPrefix):
		return seccompFile(field, text)`, with: `	case strings.HasPrefix(text, localhostPrefix):
		return SeccompWish{}, nil`},

	{rule: "security.seccomp.refused", op: "relative paths", file: "impl/oci/seccomp.go",
		old: `	if !strings.HasPrefix(path, "/") {`, with: `	if false {`},
	{rule: "security.seccomp.refused", op: "unchecked", file: "impl/oci/seccomp.go",
		old: `	if err == nil {
		err = checkSeccomp(p, flags)
	}`, with: ``},
	{rule: "security.seccomp.refused", op: "not even JSON", file: "impl/oci/seccomp.go",
		old: `	if err == nil {
		err = checkSeccomp(p, flags)
	}
	if err != nil {`, with: `	if err == nil {
		err = checkSeccomp(p, flags)
	}
	if err != nil && len(data) == 0 {
		return nil, nil
	}
	if err != nil {`},
	{rule: "security.seccomp.refused", op: "what is missing is none", file: "impl/server/security.go",
		old: `		return nil, &oci.FieldError{Field: wish.Field, Reason: err.Error()}`, with: `		return nil, nil`},
	{rule: "security.seccomp.refused", op: "whatever is no file", file: "impl/server/security.go",
		old: `	if err == nil && !info.Mode().IsRegular() {`, with: `	if err == nil && info == nil {`},
	{rule: "security.seccomp.refused", op: "calls are not looked at", file: "impl/oci/seccomp.go",
		old: `		if err := checkCall(call); err != nil {`, with: `		if err := checkCall(call); err != nil && call == nil {`},
	{rule: "security.seccomp.refused", op: "any architecture", file: "impl/oci/seccomp.go",
		old: `		if !slices.Contains(knownArchitectures(), name) {`, with: `		if false {`},
	{rule: "security.seccomp.refused", op: "any flag", file: "impl/oci/seccomp.go",
		old: `	for _, f := range asked {`, with: `	for _, f := range asked[:0] {`},
	{rule: "security.seccomp.refused", op: "nobody is asked", file: "impl/oci/seccomp.go",
		old: `	return checkNotify(p)`, with: `	return nil`},
	{rule: "security.seccomp.refused", op: "when half of the container is made", file: "impl/server/container_create.go",
		old: `	return s.refuseProcess(c, pod, img.Config)`, with: `	return nil`},
	{rule: "security.seccomp.refused", op: "any operator", file: "impl/oci/seccomp.go",
		old: `return a == nil || !isOperator(a.Op)`, with: `return a == nil`},

	{rule: "security.seccomp.refused-sandbox", op: "not looked at", file: "impl/server/sandbox_run.go",
		old: `	_, err = s.sandboxSeccomp(&sb)
`, with: `	err = nil
`},
	{rule: "security.seccomp.refused-sandbox", op: "only where it is used", file: "impl/server/sandbox_run.go",
		old: `	_, err = s.sandboxSeccomp(&sb)
`, with: `	if sb.HasInfra {
		_, err = s.sandboxSeccomp(&sb)
	}
`},
	{rule: "security.seccomp.refused-sandbox", op: "unchecked", file: "impl/oci/seccomp.go",
		old: `	if err == nil {
		err = checkSeccomp(p, flags)
	}`, with: ``},

	{rule: "security.seccomp.infra", op: "none", file: "impl/oci/infra.go",
		old: `seccompFilter(in.Seccomp, nil)`, with: `seccompFilter(nil, nil)`},
	{rule: "security.seccomp.infra", op: "always the default", file: "impl/server/security.go",
		old: `	wish, err := oci.SeccompOf(sc)
	if err != nil {
		return nil, err
	}
	return s.readSeccomp(wish, sb.Handler)`, with: `	return oci.SeccompWish{Default: true}.Profile(nil, nil)`},
	{rule: "security.seccomp.infra", op: "also in a privileged pod", file: "impl/server/security.go",
		old: `	if sc.GetPrivileged() {`, with: `	if false {`},

	{rule: "security.capabilities.default", op: "none", file: "impl/oci/capabilities.go",
		old: `	base := host.DefaultCapabilities
`, with: `	base := host.DefaultCapabilities[:0]
`},
	{rule: "security.capabilities.default", op: "all", file: "impl/oci/capabilities.go",
		old: `	base := host.DefaultCapabilities
`, with: `	base := host.Capabilities
`},
	{rule: "security.capabilities.default", op: "also those that the daemon lacks", file: "impl/oci/capabilities.go",
		old: `!drop.has(name) && slices.Contains(host.Capabilities, name)`, with: `!drop.has(name)`},
	{rule: "security.capabilities.default", op: "prefix twice", file: "impl/daemon/host.go",
		old: `"CAP_"+strings.TrimPrefix(strings.ToUpper(name), "CAP_")`, with: `"CAP_"+strings.ToUpper(name)`},

	{rule: "security.capabilities.change", op: "added is kept", file: "impl/oci/capabilities.go",
		old: `return !drop.has(name) && slices`, with: `return (!drop.has(name) || add.has(name)) && slices`},
	{rule: "security.capabilities.change", op: "none is dropped", file: "impl/oci/capabilities.go",
		old: `return !drop.has(name) && slices`, with: `return slices`},
	{rule: "security.capabilities.change", op: "none is added", file: "impl/oci/capabilities.go",
		old: `!in && !add.has(name) && !ambient.has(name)`, with: `!in && !ambient.has(name)`},
	{rule: "security.capabilities.change", op: "ALL adds none", file: "impl/oci/capabilities.go",
		old: `	if add.all || ambient.all {`, with: `	if ambient.all {`},
	{rule: "security.capabilities.change", op: "ALL drops none", file: "impl/oci/capabilities.go",
		old: `	if drop.all {`, with: `	if false {`},
	{rule: "security.capabilities.change", op: "ALL drops what is added", file: "impl/oci/capabilities.go",
		old: `return !drop.has(name) && slices`, with: `return !drop.all && !drop.has(name) && slices`},
	{rule: "security.capabilities.change", op: "capitals only", file: "impl/oci/capabilities.go",
		old: `		name := strings.ToUpper(a)`, with: `		name := a`},

	{rule: "security.capabilities.unknown", op: "left out", file: "impl/oci/capabilities.go",
		old: `			return l, invalid(capsField+field, "%.80q is not a capability", a)`, with: `			continue`},
	{rule: "security.capabilities.unknown", op: "of those dropped", file: "impl/oci/capabilities.go",
		old: `	drop, err := parseCapabilities("drop_capabilities", c.GetDropCapabilities())
	if err != nil {`, with: `	drop, err := parseCapabilities("drop_capabilities", c.GetDropCapabilities())
	if false {`},
	{rule: "security.capabilities.unknown", op: "of the ambient ones", file: "impl/oci/capabilities.go",
		old: `c.GetAddAmbientCapabilities())
	if err != nil {`, with: `c.GetAddAmbientCapabilities())
	if false {`},
	{rule: "security.capabilities.unknown", op: "ALL with a prefix", file: "impl/oci/capabilities.go",
		old: `		if name == capAll {`, with: `		if strings.TrimPrefix(name, capPrefix) == capAll {`},

	{rule: "security.capabilities.ambient", op: "held only", file: "impl/oci/capabilities.go",
		old: `	return capabilitySets(held, raised), nil`, with: `	return capabilitySets(held, raised[:0]), nil`},
	{rule: "security.capabilities.ambient", op: "also if dropped", file: "impl/oci/capabilities.go",
		old: `return !drop.has(name) && slices`, with: `return (!drop.has(name) || ambient.has(name)) && slices`},
	{rule: "security.capabilities.ambient", op: "ALL is none", file: "impl/oci/capabilities.go",
		old: `ambient.has(name) || ambient.all && in {`, with: `ambient.has(name) {`},
	{rule: "security.capabilities.ambient", op: "not in commands", file: "impl/oci/process.go",
		old: `Ambient: slices.Clone(c.Ambient),`, with: ``},

	{rule: "security.capabilities.inheritable", op: "all that are held", file: "impl/oci/capabilities.go",
		old: `		Inheritable: slices.Clone(ambient),`, with: `		Inheritable: slices.Clone(held),`},
	{rule: "security.capabilities.inheritable", op: "all that are held by commands", file: "impl/oci/process.go",
		old: `Inheritable: slices.Clone(c.Inheritable)`, with: `Inheritable: slices.Clone(c.Permitted)`},

	{rule: "security.apparmor.refused", op: "runs without", file: "impl/oci/security.go",
		old: `			return "", invalid(securityField+field, "profile %.80q cannot be applied, this node has no AppArmor", name)`, with: `			return "", nil`},
	{rule: "security.apparmor.refused", op: "without a name", file: "impl/oci/security.go",
		old: `			return "", invalid(securityField+field, "the profile has no name")`, with: `			return "", nil`},
	{rule: "security.apparmor.refused", op: "not a profile", file: "impl/oci/security.go",
		old: `	return "", invalid(securityField+field, "%.80q is not a profile", name)`, with: `	return "", nil`},
	{rule: "security.apparmor.refused", op: "of the deprecated field", file: "impl/oci/security.go",
		old: `	old := sc.GetApparmorProfile()`, with: `	old := ""`},

	{rule: "security.apparmor.none", op: "the default is applied", file: "impl/oci/security.go",
		old: `		if !host.AppArmor {
			return "", nil
		}
		return host.AppArmorDefault, nil`, with: `		return "ocid-default", nil`},
	{rule: "security.apparmor.none", op: "the default is refused", file: "impl/oci/security.go",
		old: `		if !host.AppArmor {
			return "", nil
		}
		return`, with: `		if !host.AppArmor {
			return "", invalid(securityField+field, "this node has no AppArmor")
		}
		return`},
	{rule: "security.apparmor.none", op: "Unconfined is a profile", file: "impl/oci/security.go",
		old: `	case runtimeapi.SecurityProfile_Unconfined:
		return "", nil`, with: `	case runtimeapi.SecurityProfile_Unconfined:
		return "unconfined", nil`},

	{rule: "security.selinux.off", op: "applied", file: "impl/oci/process.go",
		old: `	if in.Privileged {
		return p, nil
	}`, with: `	if l := sc.GetSelinuxOptions(); l != nil {
		p.SelinuxLabel = l.GetUser() + ":" + l.GetRole() + ":" + l.GetType() + ":" + l.GetLevel()
	}
	if in.Privileged {
		return p, nil
	}`},

	{rule: "security.no-new-privs", op: "never", file: "impl/oci/process.go",
		old: `NoNewPrivileges: sc.GetNoNewPrivs(),`, with: ``},
	{rule: "security.no-new-privs", op: "always", file: "impl/oci/process.go",
		old: `NoNewPrivileges: sc.GetNoNewPrivs(),`, with: `NoNewPrivileges: true,`},
	{rule: "security.no-new-privs", op: "with a filter", file: "impl/oci/process.go",
		old: `NoNewPrivileges: sc.GetNoNewPrivs(),`, with: `NoNewPrivileges: sc.GetNoNewPrivs() || in.Seccomp != nil,`},
	{rule: "security.no-new-privs", op: "not for commands", file: "impl/oci/process.go",
		old: `	p.Terminal = tty
`, with: `	p.Terminal = tty
	p.NoNewPrivileges = false
`},

	{rule: "security.masked-paths", op: "none", file: "impl/oci/container.go",
		old: `MaskedPaths:       masked,`, with: `MaskedPaths:       masked[:0],`},
	{rule: "security.masked-paths", op: "no defaults", file: "impl/oci/security.go",
		old: `return slices.Clone(defaultMaskedPaths), slices.Clone(defaultReadonlyPaths)`, with: `return nil, slices.Clone(defaultReadonlyPaths)`},
	{rule: "security.masked-paths", op: "defaults if empty", file: "impl/oci/security.go",
		old: `	case sc == nil:`, with: `	case sc == nil || len(sc.GetMaskedPaths()) == 0:`},
	{rule: "security.masked-paths", op: "defaults, too", file: "impl/oci/security.go",
		old: `return slices.Clone(sc.GetMaskedPaths()),`, with: `return slices.Concat(sc.GetMaskedPaths(), defaultMaskedPaths),`},

	{rule: "security.readonly-paths", op: "none", file: "impl/oci/container.go",
		old: `ReadonlyPaths:     readonly,`, with: `ReadonlyPaths:     readonly[:0],`},
	{rule: "security.readonly-paths", op: "no defaults", file: "impl/oci/security.go",
		old: `return slices.Clone(defaultMaskedPaths), slices.Clone(defaultReadonlyPaths)`, with: `return slices.Clone(defaultMaskedPaths), nil`},
	{rule: "security.readonly-paths", op: "defaults if empty", file: "impl/oci/security.go",
		old: `	case sc == nil:`, with: `	case sc == nil || len(sc.GetReadonlyPaths()) == 0:`},
	{rule: "security.readonly-paths", op: "masked", file: "impl/oci/security.go",
		old: `return slices.Clone(sc.GetMaskedPaths()), slices.Clone(sc.GetReadonlyPaths())`, with: `return slices.Concat(sc.GetMaskedPaths(), sc.GetReadonlyPaths()), nil`},

	{rule: "security.readonly-rootfs", op: "never", file: "impl/oci/container.go",
		old: `, Readonly: sc.GetReadonlyRootfs()}`, with: `}`},
	{rule: "security.readonly-rootfs", op: "always", file: "impl/oci/container.go",
		old: `, Readonly: sc.GetReadonlyRootfs()}`, with: `, Readonly: true}`},
	{rule: "security.readonly-rootfs", op: "the mounts, too", file: "impl/oci/container.go",
		old: `	sc := in.Config.GetLinux().GetSecurityContext()
	masked,`, with: `	sc := in.Config.GetLinux().GetSecurityContext()
	for i := range mounts {
		if sc.GetReadonlyRootfs() && mounts[i].Type == "bind" {
			mounts[i].Options = append(mounts[i].Options, "ro")
		}
	}
	masked,`},
}
