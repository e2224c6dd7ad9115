package main

// faultsMount break the promises about mounts, volumes, user namespaces and devices.
var faultsMount = []fault{
	{rule: "mount.order", op: "as they come", file: "impl/oci/mounts.go",
		old: `return depth(a.Destination) - depth(b.Destination)`, with: `return 0 * (depth(a.Destination) - depth(b.Destination))`},
	{rule: "mount.order", op: "children first", file: "impl/oci/mounts.go",
		old: `return depth(a.Destination) - depth(b.Destination)`, with: `return depth(b.Destination) - depth(a.Destination)`},
	{rule: "mount.over", op: "both are made", file: "impl/oci/mounts.go",
		old: `if !taken[dest] && !(taken["/dev"]`, with: `if (!taken[dest] || dest == shmPath) && !(taken["/dev"]`},
	{rule: "mount.over", op: "the daemon's wins", file: "impl/oci/mounts.go",
		old: `return merge(merge(defaults, own), in.ExtraMounts), propagation, nil`, with: `return merge(merge(own, defaults), in.ExtraMounts), propagation, nil`},
	{rule: "mount.root", op: "only the shortest name", file: "impl/server/mounts.go",
		old: `if path.Join("/", m.GetContainerPath()) == "/" {`, with: `if path.Clean(m.GetContainerPath()) == m.GetContainerPath() && m.GetContainerPath() == "/" {`},
	{rule: "mount.source", op: "no devices", file: "impl/server/mounts.go",
		old: `		m.HostPath = real
`, with: `		var st unix.Stat_t
		if unix.Stat(real, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR {
			return errors.New("is a device")
		}
		m.HostPath = real
`},
	{rule: "mount.source", op: "no pipes and sockets", file: "impl/server/mounts.go",
		old: `		m.HostPath = real
`, with: `		var st unix.Stat_t
		if unix.Stat(real, &st) == nil && (st.Mode&unix.S_IFMT == unix.S_IFIFO || st.Mode&unix.S_IFMT == unix.S_IFSOCK) {
			return errors.New("is not for a mount")
		}
		m.HostPath = real
`},
	{rule: "mount.source", op: "nodev", file: "impl/oci/bind.go",
		old: `accessOption(m)}, m.GetMountOptions()...)`, with: `accessOption(m), "nodev"}, m.GetMountOptions()...)`},
	{rule: "mount.relabel", op: "refused", file: "impl/server/mounts.go",
		old: `	if err := mappedAsPod(m, pod); err != nil {`, with: `	if m.GetSelinuxRelabel() {
		return errors.New("no SELinux here")
	}
	if err := mappedAsPod(m, pod); err != nil {`},
	{rule: "mount.propagation", op: "all private", file: "impl/oci/bind.go",
		old: `options := append([]string{"rbind", p.mount, accessOption(m)}`, with: `options := append([]string{"rbind", "rprivate", accessOption(m)}`},
	{rule: "mount.propagation", op: "from the host alone", file: "impl/oci/bind.go",
		old: `{"rshared", "rshared"},`, with: `{"rslave", "rslave"},`},
	{rule: "mount.propagation", op: "always both ways", file: "impl/oci/bind.go",
		old: `{"rslave", "rslave"},`, with: `{"rshared", "rshared"},`},
	{rule: "mount.propagation", op: "never private", file: "impl/oci/bind.go",
		old: `{"rprivate", ""},`, with: `{"rslave", "rslave"},`},
	{rule: "mount.shared", op: "never refused", file: "impl/server/mounts.go",
		old: `if err := checkShared(m.GetHostPath(), m.GetPropagation()); err != nil {`, with: `if err := checkShared(m.GetHostPath(), m.GetPropagation()); err != nil && false {`},
	{rule: "mount.shared", op: "a slave is shared", file: "impl/server/mounts.go",
		old: `p == runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER && strings`, with: `strings`},
	{rule: "mount.shared", op: "a slave is nothing", file: "impl/server/mounts.go",
		old: `strings.HasPrefix(tag, "master:")`, with: `false`},
	{rule: "mount.rro", op: "not recursive", file: "impl/oci/bind.go",
		old: `return "rro"`, with: `return "ro"`},
	{rule: "mount.rro", op: "always recursive", file: "impl/oci/bind.go",
		old: `return "ro"`, with: `return "rro"`},
	{rule: "mount.rro-handler", op: "never refused", file: "impl/server/mounts.go",
		old: `if m.GetRecursiveReadOnly() && !s.handlerFeatures(pod.Handler).RecursiveReadOnlyMounts {`, with: `if false {`},
	{rule: "mount.rro-handler", op: "always refused", file: "impl/server/mounts.go",
		old: `!s.handlerFeatures(pod.Handler).RecursiveReadOnlyMounts`, with: `s.handlerFeatures(pod.Handler) != nil`},
	{rule: "mount.options", op: "left out", file: "impl/oci/bind.go",
		old: `accessOption(m)}, m.GetMountOptions()...)`, with: `accessOption(m)}, m.GetMountOptions()[:0]...)`},
	{rule: "mount.options", op: "left out of read-only mounts", file: "impl/oci/bind.go",
		old: `		out = append(out, specs.Mount{`, with: `		if m.GetReadonly() {
			options = options[:3]
		}
		out = append(out, specs.Mount{`},
	{rule: "mount.options", op: "any", file: "impl/server/mounts.go",
		old: `[]string{"noexec", "nodev", "nosuid"}, o)`, with: `[]string{"noexec", "nodev", "nosuid", o}, o)`},
	{rule: "mount.mapped", op: "not mapped", file: "impl/namespace/user.go",
		old: `attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(owner.Fd())}`, with: `attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}`},
	{rule: "mount.mapped", op: "the mount stays", file: "impl/server/volumes.go",
		old: `			errs = append(errs, namespace.Unbind(s.mappedPath(id, i)))`, with: ``},
	{rule: "mount.mapped", op: "restrictions are forgotten", file: "impl/server/volumes.go",
		old: `		if mapped {
`, with: `		if mapped && false {
`},
	{rule: "mount.mapping", op: "any", file: "impl/server/mounts.go",
		old: `		return errors.New("or gidMappings are not those of the sandbox's user namespace")`, with: `		return nil`},
	{rule: "mount.mapping", op: "only users count", file: "impl/server/mounts.go",
		old: `|| !slices.EqualFunc(m.GetGidMappings(), u.GetGids(), equal) {`, with: `{`},

	{rule: "volume.image", op: "writable", file: "impl/server/volumes.go",
		old: `m.HostPath, m.Readonly = nil, "", at, true`, with: `m.HostPath, m.Readonly = nil, "", at, false`},
	{rule: "volume.image", op: "executable", file: "impl/server/volumes.go",
		old: `m.MountOptions = []string{"noexec", "nosuid", "nodev"}`, with: `m.MountOptions = []string{"nosuid", "nodev"}`},
	{rule: "volume.image", op: "the sub path is ignored", file: "impl/server/volumes.go",
		old: `	return sub, nil
`, with: `	return root + sub[:0], nil
`},
	{rule: "volume.image.missing", op: "another code", file: "impl/server/volumes.go",
		old: `&volumeError{spec.NotFound,`, with: `&volumeError{spec.InvalidArgument,`},
	{rule: "volume.image.missing", op: "without the prefix", file: "impl/server/container_create.go",
		old: `	return ledByVolume(err)
`, with: `	return err
`},
	{rule: "volume.image.sub-path", op: "without the prefix", file: "impl/server/container_create.go",
		old: `s.fieldError(spec.CreateContainer, ledByVolume(err))`, with: `s.fieldError(spec.CreateContainer, err)`},
	{rule: "volume.image.sub-path", op: "may climb", file: "impl/store/volume.go",
		old: `	if !filepath.IsLocal(name) {`, with: `	if name == "" {`},
	{rule: "volume.image.sub-path", op: "leads out", file: "impl/store/volume.go",
		old: `	path, err := securejoin.SecureJoin(root, name)
	if err != nil {
		return "", err
	}
	if _`, with: `	path, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return "", fs.ErrNotExist
	}
	if _`},
	{rule: "volume.image.sub-path", op: "the root instead", file: "impl/server/volumes.go",
		old: `		return "", &volumeError{spec.InvalidArgument, "volume.image.sub-path",`, with: `		return root, nil
		return "", &volumeError{spec.InvalidArgument, "volume.image.sub-path",`},
	{rule: "volume.image.sub-path", op: "records are left", file: "impl/server/volumes.go",
		old: `			errs = append(errs, s.Store.Delete(volumeID(id, i)))`, with: `			_ = volumeID(id, i)`},
	{rule: "image.remove.used", op: "volumes are let go at the exit", file: "impl/server/volumes.go",
		old: `			errs = append(errs, s.Store.Unmount(volumeID(id, i)))`, with: `			errs = append(errs, s.Store.Delete(volumeID(id, i)))`},
	{rule: "volume.image.exited", op: "stays mounted", file: "impl/server/volumes.go",
		old: `			errs = append(errs, s.Store.Unmount(volumeID(id, i)))`, with: ``},
	{rule: "volume.declared", op: "empty", file: "impl/store/volume.go",
		old: `; err != nil || !info.IsDir() {`, with: `; err != nil || info.IsDir() {`},
	{rule: "volume.declared", op: "of root", file: "impl/store/volume.go",
		old: `	return os.Rename(half, volume)`, with: `	_ = os.Chown(half, 0, 0)
	return os.Rename(half, volume)`},
	{rule: "volume.declared", op: "of all", file: "impl/store/volume.go",
		old: `	volume := filepath.Join(dir, volumesDir, hex`, with: `	volume := filepath.Join(filepath.Dir(filepath.Dir(dir)), volumesDir, hex`},
	{rule: "volume.declared", op: "the root filesystem's", file: "impl/server/volumes.go",
		old: `case s.Config.Image.Volumes == config.VolumesMkdir:`, with: `case s.Config.Image.Volumes != config.VolumesMkdir:`},
	{rule: "volume.declared.over", op: "is below", file: "impl/server/volumes.go",
		old: `path.Join("/", m.ContainerPath) == at`, with: `m.ContainerPath == at`},
	{rule: "volume.declared.mode", op: "ignore is mkdir", file: "impl/server/volumes.go",
		old: `	if s.Config.Image.Volumes == config.VolumesIgnore {`, with: `	if s.Config.Image.Volumes == "none" {`},
	{rule: "volume.declared.mode", op: "mkdir is ignore", file: "impl/server/volumes.go",
		old: `if err := store.MakeDir(c.RootFS, at); err != nil {`, with: `if err := store.MakeDir(c.RootFS, at+".not"); err != nil {`},
	{rule: "volume.declared.mode", op: "bind anyway", file: "impl/server/volumes.go",
		old: `case s.Config.Image.Volumes == config.VolumesMkdir:`, with: `case s.Config.Image.Volumes == "none":`},

	{rule: "userns.pod", op: "the node's", file: "impl/server/sandbox_works.go",
		old: `User: s.ociUserns(id, userns(sb.Config.M))}`, with: `User: nil}`},
	{rule: "userns.pod", op: "the pins stay", file: "impl/server/sandbox_works.go",
		old: `		if err := s.closeOwned(id); err != nil {`, with: `		if err := error(nil); err != nil {`},
	{rule: "userns.pod", op: "one ID less", file: "impl/server/userns.go",
		old: `return namespace.Range{Host: ids[0].GetHostId(), Size: ids[0].GetLength()}`, with: `return namespace.Range{Host: ids[0].GetHostId(), Size: ids[0].GetLength() - 1}`},
	{rule: "userns.owner", op: "the node's network namespace", file: "impl/server/sandbox_works.go",
		old: `		return namespace.Create(ctx, s.ownedNamespaces(id, sb, u))
`, with: `		all := s.ownedNamespaces(id, sb, u)
		for _, p := range all.Pins {
			if p.Kind == namespace.UTS {
				_ = namespace.Create(ctx, namespace.Spec{Pins: []namespace.Pin{p}, Hostname: sb.Hostname})
			}
		}
		all.Pins, all.Hostname = append(all.Pins[:2:2], all.Pins[3]), ""
		return namespace.Create(ctx, all)
`},
	{rule: "userns.owner", op: "no IPC sysctls", file: "impl/server/userns.go",
		old: `sysctls(sb, namespace.Net, namespace.IPC)`, with: `sysctls(sb, namespace.Net)`},
	{rule: "userns.files", op: "of the node", file: "impl/server/userns.go",
		old: `	return &store.IDs{UIDs: to(u.GetUids()), GIDs: to(u.GetGids())}`, with: `	_ = to
	return nil`},
	{rule: "userns.files", op: "the pod's files of the node", file: "impl/server/userns.go",
		old: `		return int(u.GetUids()[0].GetHostId()), int(u.GetGids()[0].GetHostId())`, with: `		return 0, 0`},
	{rule: "userns.mapping", op: "any number", file: "impl/server/userns.go",
		old: `if len(ids) != 1 {`, with: `if len(ids) == 0 {`},
	{rule: "userns.mapping", op: "none", file: "impl/server/userns.go",
		old: `	if len(ids) != 1 {
		return`, with: `	if len(ids) == 0 {
		return nil
	}
	if len(ids) != 1 {
		return`},
	{rule: "userns.mapping", op: "any beginning", file: "impl/server/userns.go",
		old: `case m.GetContainerId() != 0:`, with: `case false:`},
	{rule: "userns.mapping", op: "any length", file: "impl/server/userns.go",
		old: `case m.GetLength() == 0:`, with: `case false:`},
	{rule: "userns.mapping", op: "any end", file: "impl/server/userns.go",
		old: `case uint64(m.GetHostId())+uint64(m.GetLength()) > math.MaxUint32:`, with: `case uint64(m.GetHostId()+m.GetLength()) > math.MaxUint32:`},
	{rule: "userns.mapping", op: "the node's too", file: "impl/server/userns.go",
		old: `		if len(ids) > 0 {`, with: `		if len(ids) > 1 {`},
	{rule: "userns.own", op: "with the host's PIDs", file: "impl/server/userns.go",
		old: `|| ns.GetIpc() == node || ns.GetPid() == node:`, with: `|| ns.GetIpc() == node:`},
	{rule: "userns.own", op: "with the host's IPC", file: "impl/server/userns.go",
		old: `|| ns.GetIpc() == node || ns.GetPid() == node:`, with: `|| ns.GetPid() == node:`},
	{rule: "userns.own", op: "with the host's network", file: "impl/server/userns.go",
		old: `case ns.GetNetwork() == node || ns`, with: `case ns`},
	{rule: "userns.kernel", op: "never refused", file: "impl/server/userns.go",
		old: `	case ownKernel:`, with: `	case false:`},
	{rule: "userns.other", op: "any", file: "impl/server/userns.go",
		old: `		if !proto.Equal(userns(own), userns(sb.Config.M)) {`, with: `		if own == nil && !proto.Equal(userns(own), userns(sb.Config.M)) {`},

	{rule: "container.namespaces.target", op: "its own", file: "impl/server/container_works.go",
		old: `	ns.PID = pid.PID
`, with: `	if ns.PID = pid.PID; opts.Pid == runtimeapi.NamespaceMode_TARGET {
		ns.PID = oci.NewNamespace
	}
`},
	{rule: "container.namespaces.target-refused", op: "of any pod", file: "impl/server/userns.go",
		old: `	case !ok || target.Data.PodID != c.PodID:`, with: `	case !ok:`},
	{rule: "container.namespaces.target-refused", op: "in any mode", file: "impl/server/userns.go",
		old: `	case pidMode(target.Data.Config.M, sb) != runtimeapi.NamespaceMode_CONTAINER:`, with: `	case false:`},
	{rule: "container.namespaces.target-refused", op: "in any state", file: "impl/server/userns.go",
		old: `	case target.State != spec.Running:`, with: `	case target.State == spec.Exited:`},
	{rule: "container.shm", op: "each its own", file: "impl/server/container_works.go",
		old: `		in.Files.Shm = s.shmPath(c.PodID)`, with: `		in.Files.Shm = ""`},
	{rule: "container.shm", op: "another size", file: "impl/server/sandbox_works.go",
		old: `const shmSize = "size=65536k"`, with: `const shmSize = "size=32768k"`},
	{rule: "container.shm", op: "never the host's", file: "impl/oci/mounts.go",
		old: `	if shm == "" && ipc == HostNamespace {`, with: `	if shm == "" && ipc == "nowhere" {`},
	{rule: "container.namespaces.target-ended", op: "not asked", file: "impl/server/userns.go",
		old: `ok && target.State&(spec.Running|spec.Stopping) != 0 {`, with: `ok && target.State != 0 {`},
	{rule: "container.namespaces.target-ended", op: "not told", file: "impl/server/container_life.go",
		old: `c.StartedAt == 0 && opts.GetPid()`, with: `c.StartedAt != 0 && opts.GetPid()`},
	{rule: "container.process.none", op: "found out later", file: "impl/server/container_create.go",
		old: `errors.As(err, &field) {`, with: `errors.As(err, &field) && false {`},
	{rule: "container.process.text", op: "arguments may", file: "impl/oci/container.go",
		old: `, "args": config.GetArgs(),`, with: `,`},
	{rule: "container.status.stop-signal", op: "left out", file: "impl/server/container_status.go",
		old: `StopSignal: oci.CRISignal(d.StopWith),`, with: `StopSignal: oci.CRISignal(0),`},
	{rule: "container.status.stop-signal", op: "the config's alone", file: "impl/server/container_status.go",
		old: `StopSignal: oci.CRISignal(d.StopWith),`, with: `StopSignal: max(c.GetStopSignal(), oci.CRISignal(0)),`},
	{rule: "container.status.mounts", op: "left out", file: "impl/server/container_status.go",
		old: `Mounts: c.GetMounts(), `, with: ``},
}
