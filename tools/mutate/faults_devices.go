package main

// faultsDevices break the promises about users, privileged containers, devices
// and names.
var faultsDevices = []fault{
	{rule: "security.user.refused", op: "any name that is a number", file: "impl/oci/user.go",
		old: `	if field == securityField+"run_as_username" {`, with: `	if field == "" {`},
	{rule: "security.user.refused", op: "an unknown user is root", file: "impl/oci/user.go",
		old: `	if err != nil || group == "" {
		return who, err`, with: `	if err != nil {
		who, err = user.GetExecUser("0", nil, nil, nil)
	}
	if err != nil || group == "" {
		return who, err`},
	{rule: "security.user.refused", op: "any group", file: "impl/oci/user.go",
		old: `		checkIDs("supplemental_groups", r.SupplementalGroups...),
`, with: ``},
	{rule: "security.user.refused", op: "negative groups alone", file: "impl/oci/user.go",
		old: `		if id < 0 || id > math.MaxInt32 {`, with: `		if id < 0 || id < math.MinInt32 {`},
	{rule: "security.user.refused", op: "files of any size", file: "impl/oci/user.go",
		old: `		if len(data) > maxUserFile {`, with: `		if len(data) > 2*maxUserFile {`},
	{rule: "security.user.refused", op: "files of any kind", file: "impl/server/security.go",
		old: `	if err == nil && !info.Mode().IsRegular() {`, with: `	if err == nil && info.Mode().IsDir() {`},
	{rule: "security.user.links", op: "lead to the node", file: "impl/server/security.go",
		old: `name, unix.RESOLVE_IN_ROOT)`, with: `name, 0)`},
	{rule: "security.user.links", op: "not followed", file: "impl/server/security.go",
		old: `name, unix.RESOLVE_IN_ROOT)`, with: `name, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_SYMLINKS)`},
	{rule: "security.user.merge", op: "the config's alone", file: "impl/oci/user.go",
		old: `	if req.Policy == runtimeapi.SupplementalGroupsPolicy_Merge {`, with: `	if req.Policy < runtimeapi.SupplementalGroupsPolicy_Merge {`},
	{rule: "security.user.merge", op: "a group hides those of the image", file: "impl/oci/user.go",
		old: `	who.Gid = in.Gid
`, with: `	who.Gid, who.Sgids = in.Gid, in.Sgids
`},
	{rule: "security.user.merge", op: "the image's alone", file: "impl/oci/user.go",
		old: `		gids = append(gids, int(g))`, with: `		if req.Policy != runtimeapi.SupplementalGroupsPolicy_Merge {
			gids = append(gids, int(g))
		}`},
	{rule: "security.user.strict", op: "as Merge", file: "impl/oci/user.go",
		old: `	if req.Policy == runtimeapi.SupplementalGroupsPolicy_Merge {`, with: `	if req.Policy >= runtimeapi.SupplementalGroupsPolicy_Merge {`},
	{rule: "security.user.strict", op: "no groups", file: "impl/oci/user.go",
		old: `		gids = append(gids, int(g))`, with: `		if req.Policy != runtimeapi.SupplementalGroupsPolicy_Strict {
			gids = append(gids, int(g))
		}`},
	{rule: "security.user.status", op: "left out", file: "impl/server/container_status.go",
		old: `		User:       containerUser(d.User),
`, with: ``},
	{rule: "security.user.status", op: "no groups", file: "impl/server/container_status.go",
		old: `	for _, g := range u.AdditionalGids {`, with: `	for _, g := range u.AdditionalGids[:0] {`},
	{rule: "security.user.status", op: "forgotten", file: "impl/server/record.go",
		old: `json:"user,omitempty"`, with: `json:"-"`},
	{rule: "security.user.feature", op: "not said", file: "impl/server/status.go",
		old: `SupplementalGroupsPolicy: true, `, with: ``},

	{rule: "security.privileged.paths", op: "as in others", file: "impl/oci/security.go",
		old: `	case privileged:
`, with: `	case privileged && sc == nil:
`},
	{rule: "security.privileged.paths", op: "masked alone", file: "impl/oci/security.go",
		old: `	case privileged:
		return nil, nil`, with: `	case privileged:
		return slices.Clone(sc.GetMaskedPaths()), nil`},
	{rule: "security.privileged.kernel-files", op: "as in others", file: "impl/oci/mounts.go",
		old: `	if in.Privileged {
		defaults = writable`, with: `	if in.Privileged && in.Config == nil {
		defaults = writable`},
	{rule: "security.privileged.kernel-files", op: "in others, too", file: "impl/oci/mounts.go",
		old: `	if in.Privileged {
		defaults = writable`, with: `	if in.Config != nil {
		defaults = writable`},
	{rule: "security.privileged.profiles", op: "the config's", file: "impl/server/security.go",
		old: `	if c.Elevated {
		return s.elevate(in, c)
	}`, with: `	if c.Elevated {
		if err := s.elevate(in, c); err != nil {
			return err
		}
	}`},
	{rule: "security.privileged.profiles", op: "the config's AppArmor profile", file: "impl/oci/process.go",
		old: `	if in.Privileged {
		return p, nil
	}
`, with: ``},
	{rule: "security.privileged.devices", op: "none", file: "impl/oci/devices.go",
		old: `	if !in.Privileged || in.PlainDevices {`, with: `	if in.Config != nil {`},
	{rule: "security.privileged.devices", op: "in others, too", file: "impl/oci/devices.go",
		old: `	for _, d := range in.Devices {
		nodes = append(nodes, d.LinuxDevice)
	}
	if !in.Privileged || in.PlainDevices {
		return nodes
	}`, with: `	for _, d := range in.Devices {
		nodes = append(nodes, d.LinuxDevice)
	}
	if !in.Privileged {
		zero := specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}
		return append(nodes, zero)
	}
	if in.PlainDevices {
		return nodes
	}`},
	{rule: "security.privileged.devices", op: "of another mode", file: "impl/server/devices.go",
		old: `	mode, uid, gid := d.FileMode&os.ModePerm, d.Uid, d.Gid`, with: `	mode, uid, gid := d.FileMode&os.ModePerm|0o004, d.Uid, d.Gid`},
	{rule: "security.privileged.device-access", op: "as in others", file: "impl/oci/devices.go",
		old: `	if privileged {
		return`, with: `	if privileged && devices != nil {
		return`},
	{rule: "security.privileged.device-access", op: "in others, too", file: "impl/oci/devices.go",
		old: `	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: fullAccess}}`, with: `	rules := []specs.LinuxDeviceCgroup{{Allow: true, Access: fullAccess}}`},
	// A standard one left out is nothing that runc would not add by itself.
	{rule: "security.privileged.device-access", op: "more standard ones", file: "impl/oci/devices.go",
		old: `	{"c", 5, 2, fullAccess},           // /dev/ptmx
`, with: `	{"c", 5, 2, fullAccess}, {"c", 1, 11, fullAccess}, {"c", 10, anyNumber, fullAccess},
`},
	{rule: "security.privileged.without-devices", op: "not looked at", file: "impl/server/security.go",
		old: `		in.PlainDevices = true
		return nil
`, with: ``},
	{rule: "security.privileged.without-devices", op: "access all the same", file: "impl/oci/container.go",
		old: `in.Privileged && !in.PlainDevices)`, with: `in.Privileged)`},
	{rule: "security.privileged.without-devices", op: "not its own either", file: "impl/server/container_works.go",
		old: `	if in.Devices, err = hostDevices(c.Config.M.GetDevices()); err != nil {`, with: `	if in.Devices, err = hostDevices(c.Config.M.GetDevices()); err != nil || in.PlainDevices {
		in.Devices = nil
	}
	if err != nil {`},

	{rule: "security.devices.nodes", op: "none", file: "impl/oci/devices.go",
		old: `		nodes = append(nodes, d.LinuxDevice)`, with: `		_ = d`},
	{rule: "security.devices.nodes", op: "where they are on the node", file: "impl/server/devices.go",
		old: `ociDevice(d, filepath.Join(a.ContainerPath, rel))`, with: `ociDevice(d, filepath.Join(filepath.Dir(a.ContainerPath), filepath.Base(real), rel))`},
	{rule: "security.devices.nodes", op: "the directory is flat", file: "impl/server/devices.go",
		old: `filepath.Join(a.ContainerPath, rel))`, with: `filepath.Join(a.ContainerPath, filepath.Base(rel)))`},
	{rule: "security.devices.nodes", op: "links are none", file: "impl/server/devices.go",
		old: `		real, err := filepath.EvalSymlinks(a.HostPath)`, with: `		real, err := filepath.Abs(a.HostPath)`},
	{rule: "security.devices.nodes", op: "of root", file: "impl/server/devices.go",
		old: `, d.Uid, d.Gid
`, with: `, d.Uid*0, d.Gid*0
`},
	{rule: "security.devices.permissions", op: "all", file: "impl/oci/devices.go",
		old: `		access := d.Permissions
`, with: `		access := ""
`},
	{rule: "security.devices.permissions", op: "none means none", file: "impl/oci/devices.go",
		old: `		if access == "" {
			access = fullAccess
		}`, with: `		if access == "" {
			access = "m"
		}`},
	{rule: "security.devices.refused", op: "no device is taken", file: "impl/server/devices.go",
		old: `		found, err := nodes(real)
		if err != nil {`, with: `		found, err := nodes(real)
		if err != nil && len(asked) < 2 {`},
	{rule: "security.devices.refused", op: "a missing one is left out", file: "impl/server/devices.go",
		old: `		real, err := filepath.EvalSymlinks(a.HostPath)
		if err != nil {`, with: `		real, err := filepath.EvalSymlinks(a.HostPath)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {`},
	{rule: "security.devices.refused", op: "any permissions", file: "impl/oci/devices.go",
		old: `strings.Trim(d.GetPermissions(), fullAccess); rest != "" {`, with: `strings.Trim(d.GetPermissions(), fullAccess+"aRWx "); rest != "" {`},

	{rule: "security.cdi.edits", op: "none", file: "impl/server/cdi.go",
		old: `	if len(names) == 0 {`, with: `	if len(names) > 0 {`},
	{rule: "security.cdi.edits", op: "annotations are not read", file: "impl/server/cdi.go",
		old: `	names := slices.Clone(annotated)`, with: `	names := slices.Clone(annotated[:0])`},
	{rule: "security.cdi.edits", op: "the field is not read", file: "impl/server/cdi.go",
		old: `			names = append(names, d.GetName())`, with: `			_ = d`},
	{rule: "security.cdi.edits", op: "of the standard directories", file: "impl/server/cdi.go",
		old: `cdi.WithSpecDirs(s.Config.Runtime.CDISpecDirs...), `, with: ``},
	{rule: "security.cdi.refused", op: "left out", file: "impl/server/cdi.go",
		old: `	if err == nil {
		return nil
	}
	field :=`, with: `	if err == nil || len(unknown) > 0 {
		return nil
	}
	field :=`},
	{rule: "security.cdi.refused", op: "without the edits", file: "impl/server/cdi.go",
		old: `	if err == nil {
		return nil
	}
	field :=`, with: `	if err == nil || len(unknown) == 0 {
		return nil
	}
	field :=`},
	{rule: "security.cdi.refused", op: "bad annotations are left out", file: "impl/server/cdi.go",
		old: `		return refusedCDI("config.annotations", err)`, with: `		annotated = nil`},
	{rule: "security.cdi.refused", op: "the wrong field", file: "impl/server/cdi.go",
		old: `		field = "config.annotations"`, with: `		field = "config.CDI_devices"`},
	{rule: "security.cdi.refused", op: "broken specs are not told", file: "impl/server/cdi.go",
		old: `errors.Join(err, brokenSpecs(cache))`, with: `errors.Join(err)`},

	{rule: "security.dns.config", op: "the node's, too", file: "impl/server/dns.go",
		old: `	var b strings.Builder
`, with: `	var b strings.Builder
	data, _ := os.ReadFile("/etc/resolv.conf")
	b.Write(data)
`},
	{rule: "security.dns.config", op: "no searches", file: "impl/server/dns.go",
		old: `	if len(d.Searches) > 0 {`, with: `	if len(d.Searches) > 2 {`},
	{rule: "security.dns.config", op: "the first server", file: "impl/server/dns.go",
		old: `range d.Servers {`, with: `range d.Servers[:min(1, len(d.Servers))] {`},
	{rule: "security.dns.config", op: "a line for each option", file: "impl/server/dns.go",
		old: `		line(append([]string{"options"}, d.Options...)...)`, with: `		for _, o := range d.Options {
			line("options", o)
		}`},
	{rule: "security.dns.config", op: "needs servers", file: "impl/server/dns.go",
		old: `	if len(d.GetServers())+len(d.GetSearches())+len(d.GetOptions()) == 0 {`, with: `	if len(d.GetServers()) == 0 {`},
	{rule: "security.dns.host", op: "empty", file: "impl/server/dns.go",
		old: `		return data, err
`, with: `		return data[:0], err
`},
	{rule: "security.dns.host", op: "none for an empty config", file: "impl/server/dns.go",
		old: `len(d.GetOptions()) == 0 {`, with: `len(d.GetOptions()) == 0 && d == nil {`},
	{rule: "security.dns.refused", op: "empty ones are taken", file: "impl/server/refuse.go",
		old: `			if text == "" || strings`, with: `			if strings`},
	{rule: "security.dns.refused", op: "spaces alone", file: "impl/server/refuse.go",
		old: `return unicode.IsSpace(r) || r == 0 }`, with: `return r == ' ' && unicode.IsSpace(r) }`},
	{rule: "security.dns.refused", op: "a NUL byte is taken", file: "impl/server/refuse.go",
		old: `unicode.IsSpace(r) || r == 0`, with: `unicode.IsSpace(r)`},
	{rule: "security.dns.refused", op: "options are not looked at", file: "impl/server/refuse.go",
		old: `, "options": d.GetOptions()}`, with: `}`},
	{rule: "security.dns.refused", op: "searches are not looked at", file: "impl/server/refuse.go",
		old: `"searches": d.GetSearches(), `, with: ``},

	{rule: "security.hostname.environment", op: "none", file: "impl/oci/process.go",
		old: `	if in.Hostname != "" {`, with: `	if in.Config == nil {`},
	{rule: "security.hostname.environment", op: "over the config's", file: "impl/oci/process.go",
		old: `		env = env.set(e.GetKey(), string(e.GetValue()))
	}
`, with: `		env = env.set(e.GetKey(), string(e.GetValue()))
	}
	if in.Hostname != "" {
		env = env.set("HOSTNAME", in.Hostname)
	}
`},
	{rule: "security.hostname.environment", op: "none on the node's network", file: "impl/server/container_works.go",
		old: `Hostname: pod.Data.Hostname, `, with: `Hostname: pod.Data.Config.M.GetHostname(), `},
}
