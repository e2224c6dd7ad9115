package main

// faultsImagePull break the promises about names, credentials, policies and
// transfers of images.
var faultsImagePull = []fault{
	{rule: "image.name.short", op: "the last registry first", file: "impl/store/image/resolve.go",
		old: `		candidates = append(candidates, canonical(c.Value))`, with: `		candidates = append([]reference.Named{canonical(c.Value)}, candidates...)`},
	{rule: "image.name.short", op: "only the first registry", file: "impl/store/image/pull.go",
		old: `	for _, named := range candidates {
		id, err`, with: `	for _, named := range candidates[:1] {
		id, err`},
	{rule: "image.name.short", op: "always docker.io", file: "impl/store/image/resolve.go",
		old: `err == nil && alias == nil {`, with: `err == nil {
			_ = alias`},
	{rule: "image.name.short", op: "never docker.io", file: "impl/store/image/resolve.go",
		old: `	if i.noSearchRegistries() && shortnames.IsShortName(ref) {`, with: `	if i.noSearchRegistries() && ref == "" {`},
	{rule: "image.name.enforced", op: "asks all", file: "impl/store/image/resolve.go",
		old: `mode == types.ShortNameModeEnforcing &&`, with: `mode == types.ShortNameModeInvalid &&`},
	{rule: "image.name.mirror", op: "no registries.conf", file: "impl/store/image/image.go",
		old: `SystemRegistriesConfPath:    o.RegistriesConf,`, with: `SystemRegistriesConfPath:    o.RegistriesConf[:0] + "/dev/null",`},
	{rule: "image.name.mirror", op: "named by the place", file: "impl/store/image/pull.go",
		old: `NewStoreReference(p.back, p.named, "")`, with: `NewStoreReference(p.back, func() reference.Named {
		n, _ := reference.ParseNormalizedNamed("mirror.invalid/" + reference.Path(p.named) + ":1")
		return n
	}(), "")`},
	{rule: "image.name.invalid", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrInvalidReference, code: codes.InvalidArgument,`, with: `{is: image.ErrInvalidReference, code: codes.Internal,`},
	{rule: "image.name.invalid", op: "no field", file: "impl/server/image_refuse.go",
		old: `rule: "image.name.invalid", field: "image.image "}`, with: `rule: "image.name.invalid"}`},
	{rule: "image.name.invalid", op: "ImageStatus finds nothing", file: "impl/store/image/list.go",
		old: `	if err != nil && !isHex(id) {
`, with: `	if err != nil && !isHex(id) {
		return nil, nil
`},
	{rule: "image.handler", op: "any handler", file: "impl/server/image_refuse.go",
		old: `; ok || h == "" {`, with: `; ok || h != "-" {`},
	{rule: "image.handler", op: "no handler", file: "impl/server/image_refuse.go",
		old: `; ok || h == "" {`, with: `; h == "" && !ok {`},
	{rule: "image.auth.forms", op: "no password", file: "impl/store/image/auth.go",
		old: `Username: a.Username, Password: a.Password}`, with: `Username: a.Username}`},
	{rule: "image.auth.forms", op: "no auth", file: "impl/store/image/auth.go",
		old: `		config.Username, config.Password = user, password
`, with: `		_, _ = user, password
`},
	{rule: "image.auth.forms", op: "auth with its filling", file: "impl/store/image/auth.go",
		old: `strings.TrimRight(string(text), "\x00")`, with: `string(text)`},
	{rule: "image.auth.forms", op: "no identity token", file: "impl/store/image/auth.go",
		old: `IdentityToken: a.IdentityToken}`, with: `Password: a.IdentityToken}`},
	{rule: "image.auth.forms", op: "no registry token", file: "impl/store/image/auth.go",
		old: `sys.DockerBearerRegistryToken, sys.DockerAuthConfig = a.RegistryToken, `, with: `sys.DockerBearerRegistryToken, sys.DockerAuthConfig = "", `},
	{rule: "image.auth.server", op: "to any registry", file: "impl/store/image/auth.go",
		old: `	if a == nil || !a.meant(reference.Domain(named)) {`, with: `	if a == nil || false && a.meant(reference.Domain(named)) {`},
	{rule: "image.auth.server", op: "to none", file: "impl/store/image/auth.go",
		old: `	return host == registry || `, with: `	return host == registry && false || `},
	{rule: "image.auth.server", op: "to mirrors", file: "impl/store/image/auth.go",
		old: `= a.RegistryToken, &types.DockerAuthConfig{}`, with: `= a.RegistryToken, nil`},
	{rule: "image.auth.refused", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrUnauthorized, code: codes.Unauthenticated,`, with: `{is: image.ErrUnauthorized, code: codes.NotFound,`},
	{rule: "image.auth.refused", op: "not known", file: "impl/store/image/classify.go",
		old: `	if errors.As(err, &credentials) {
		return ErrUnauthorized`, with: `	if errors.As(err, &credentials) {
		return ErrNotFound`},
	{rule: "image.auth.invalid", op: "goes without", file: "impl/store/image/auth.go",
		old: `			return fmt.Errorf("%w: auth is not the base64 of user:password", ErrInvalidAuth)`, with: `			_ = fmt.Errorf("%w", ErrInvalidAuth)
			return nil`},
	{rule: "image.auth.invalid", op: "no field", file: "impl/server/image_refuse.go",
		old: `field: "auth.auth "}`, with: `field: ""}`},
	{rule: "image.auth.secret", op: "in the log", file: "impl/store/image/pull.go",
		old: `	t := i.pulls.begin(r.Ref)
`, with: `	t := i.pulls.begin(r.Ref)
	i.log.Debug("pull begins", "auth", fmt.Sprintf("%+v", r.Auth))
`},
	{rule: "image.auth.secret", op: "in the error", file: "impl/store/image/auth.go",
		old: `fmt.Errorf("%w: auth is not the base64 of user:password", ErrInvalidAuth)`, with: `fmt.Errorf("%w: auth %q is not the base64 of user:password", ErrInvalidAuth, a.Auth)`},
	{rule: "image.auth.file", op: "no auth file", file: "impl/store/image/image.go",
		old: `AuthFilePath:                o.AuthFile,`, with: `AuthFilePath:                o.AuthFile + ".no",`},
	{rule: "image.auth.file", op: "none for the namespace", file: "impl/store/image/pull.go",
		old: `own := ofNamespace(i.o.AuthDir, p.request.Namespace); own != ""`, with: `own := ofNamespace(i.o.AuthDir, p.request.Namespace); own == "-"`},
	{rule: "image.auth.file", op: "the namespace's for all", file: "impl/store/image/pull.go",
		old: `ofNamespace(i.o.AuthDir, p.request.Namespace)`, with: `ofNamespace(i.o.AuthDir, "trusted")`},
	{rule: "image.policy.rejected", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrSignature, code: codes.Unknown,`, with: `{is: image.ErrSignature, code: codes.PermissionDenied,`},
	{rule: "image.policy.rejected", op: "no prefix", file: "impl/server/image_refuse.go",
		old: `prefix: "SignatureValidationFailed: "}`, with: `prefix: ""}`},
	{rule: "image.policy.rejected", op: "no policy", file: "impl/store/image/pull.go",
		old: `	policy, err := i.policy(p.request.Namespace)
`, with: `	policy, err := &signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}}, error(nil)
`},
	{rule: "image.policy.signed", op: "any key", file: "impl/store/image/pull.go",
		old: `	policy, err := i.policy(p.request.Namespace)
`, with: `	policy, err := &signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}}, error(nil)
`},
	{rule: "image.policy.signed", op: "no key", file: "impl/store/image/image.go",
		old: `RegistriesDirPath:           o.RegistriesDir,`, with: `RegistriesDirPath:           o.RegistriesDir + ".no",`},
	{rule: "image.policy.namespace", op: "the general one", file: "impl/store/image/resolve.go",
		old: `own := ofNamespace(i.o.PolicyDir, namespace); own != ""`, with: `own := ofNamespace(i.o.PolicyDir, namespace); own == "-"`},
	{rule: "image.policy.namespace", op: "for all", file: "impl/store/image/pull.go",
		old: `i.policy(p.request.Namespace)`, with: `i.policy("distrustful")`},
	{rule: "image.pull.stall", op: "any layer's bytes count", file: "impl/store/image/stall.go",
		old: `			b.heard = f.any
`, with: `			for _, other := range f.blobs {
				other.heard = f.any
			}
`},
	{rule: "image.pull.stall", op: "no byte counts", file: "impl/store/image/stall.go",
		old: `			b.heard = f.any
`, with: ``},
	{rule: "image.pull.stall", op: "does not say which", file: "impl/store/image/stall.go",
		old: `fmt.Sprintf(" of layer %s", d)`, with: `fmt.Sprintf(" of layer %.0s", d)`},
	{rule: "image.pull.progress", op: "no bytes", file: "impl/store/image/progress.go",
		old: `	t.bytes += n
`, with: ``},
	{rule: "image.pull.progress", op: "no total", file: "impl/store/image/progress.go",
		old: `	t.total += uint64(max(size, 0))
`, with: ``},
	{rule: "image.pull.progress", op: "never ends", file: "impl/store/image/progress.go",
		old: `	delete(t.all.flying, t)
`, with: ``},
	{rule: "image.pull.progress", op: "not shown", file: "impl/server/status.go",
		old: `"pulls": s.Images.Pulls()`, with: `"pulls": s.Images.Pulls()[:0]`},
	{rule: "image.pull.parallel", op: "as the library likes", file: "impl/store/image/pull.go",
		old: `MaxParallelDownloads:    i.o.ParallelBlob,`, with: `MaxParallelDownloads:    i.o.ParallelBlob * 0,`},
	{rule: "image.pull.parallel", op: "one at a time", file: "impl/store/image/pull.go",
		old: `MaxParallelDownloads:    i.o.ParallelBlob,`, with: `MaxParallelDownloads:    min(i.o.ParallelBlob, 1),`},
	{rule: "image.pull.space", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrNoSpace, code: codes.ResourceExhausted,`, with: `{is: image.ErrNoSpace, code: codes.Internal,`},
	{rule: "image.pull.space", op: "not known", file: "impl/store/image/classify.go",
		old: `	if full(err) {`, with: `	if false && full(err) {`},
	{rule: "image.pull.platform", op: "the other one", file: "impl/store/image/image.go",
		old: `		DockerRegistryUserAgent:     o.UserAgent,`, with: `		DockerRegistryUserAgent:     o.UserAgent, ArchitectureChoice: "s390x",`},
	{rule: "image.pull.platform", op: "another system", file: "impl/store/image/pull.go",
		old: `f.config.OS == "" || f.config.OS == runtime.GOOS {`, with: `f.config.OS != runtime.GOOS+"!" {`},
	{rule: "image.pull.platform", op: "stays", file: "impl/store/image/pull.go",
		old: `	_, err = back.DeleteImage(img.ID, true)
	return errors.Join(fmt.Errorf("%w: it is for`, with: `	return errors.Join(fmt.Errorf("%w: it is for`},
	{rule: "image.pull.platform", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrPlatform, code: codes.NotFound,`, with: `{is: image.ErrPlatform, code: codes.Internal,`},
	{rule: "image.pull.unusable", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrUnusable, code: codes.InvalidArgument,`, with: `{is: image.ErrUnusable, code: codes.Internal,`},
	{rule: "image.pull.unusable", op: "artifacts are not known", file: "impl/store/image/classify.go",
		old: `errors.As(err, &artifact), `, with: `errors.As(err, &artifact) && false, `},
	{rule: "image.pull.unusable", op: "a cut layer is the registry's fault", file: "impl/store/image/classify.go",
		old: `	return cut || has(`, with: `	return cut && false || has(`},
	{rule: "image.pull.unusable", op: "layers are not known", file: "impl/store/image/classify.go",
		old: `has("does not match config's DiffID", `, with: `has(`},
	{rule: "image.pull.digest", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrDigest, code: codes.DataLoss,`, with: `{is: image.ErrDigest, code: codes.Internal,`},
	{rule: "image.layer.compression", op: "not zstd", file: "impl/store/image/list.go",
		old: `	instance, err := manifest.Digest(pulled)
`, with: `	if strings.Contains(string(pulled), "zstd") {
		return ErrUnusable
	}
	instance, err := manifest.Digest(pulled)
`},
	{rule: "image.layer.compression", op: "not Docker's", file: "impl/store/image/list.go",
		old: `	instance, err := manifest.Digest(pulled)
`, with: `	if strings.Contains(string(pulled), "docker.distribution") {
		return ErrUnusable
	}
	instance, err := manifest.Digest(pulled)
`},
	{rule: "image.layer.content", op: "without owners", file: "impl/store/store.go",
		old: `		GraphDriverOptions: o.DriverOptions,`, with: `		GraphDriverOptions: append(o.DriverOptions, "overlay.ignore_chown_errors=true", "overlay.force_mask=0755"),`},
	{rule: "image.reload", op: "registries stay", file: "impl/store/image/live.go",
		old: `sysregistriesv2.TryUpdatingCache(&sys)`, with: `sysregistriesv2.GetRegistries(&sys)`},
	{rule: "image.reload", op: "patterns stay", file: "impl/store/image/live.go",
		old: `	i.live.Store(newLive(pinned, stall))
	return nil`, with: `	_ = newLive
	return nil`},
	{rule: "image.reload", op: "an error counts", file: "impl/store/image/live.go",
		old: `	sys := i.sys
	if _`, with: `	sys := i.sys
	sysregistriesv2.InvalidateCache()
	if _`},
	{rule: "image.spec", op: "no annotations", file: "impl/server/image.go",
		old: `, Annotations: img.Annotations}`, with: `}`},
	{rule: "image.spec", op: "no name", file: "impl/server/image.go",
		old: `Spec: &runtimeapi.ImageSpec{Image: firstOr(append(img.RepoTags, img.RepoDigests...), img.ID),`, with: `Spec: &runtimeapi.ImageSpec{Image: firstOr(img.RepoTags, img.ID),`},
	{rule: "image.pinned", op: "no image", file: "impl/server/image.go",
		old: `Pinned: img.Pinned,`, with: `Pinned: false,`},
	{rule: "image.pinned", op: "a part is enough", file: "impl/store/image/live.go",
		old: "`)$`", with: "`)`"},
	{rule: "image.pinned", op: "no wildcards", file: "impl/store/image/live.go",
		old: "`\\*`, `.*`", with: "`\\*`, `\\*`"},
	{rule: "image.pinned", op: "not by ID", file: "impl/store/image/live.go",
		old: `pattern.MatchString(image.ID)`, with: `pattern.MatchString("")`},
	{rule: "image.remove.pinned", op: "refuses", file: "impl/store/image/remove.go",
		old: `	i.removals.Add(1)
`, with: `	if i.live.Load().pinned != nil && i.live.Load().pinned.MatchString(record.Names[len(record.Names)-1]) {
		return ErrInUse
	}
	i.removals.Add(1)
`},
	{rule: "image.remove.names", op: "no ID", file: "impl/store/image/list.go",
		old: `		if err == nil && record.ID == id {
			return record, nil
		}`, with: `		if err == nil && record.ID == id+"!" {
			return record, nil
		}`},
	{rule: "image.remove.names", op: "no prefix", file: "impl/store/image/list.go",
		old: `	return byPrefix(back, id)`, with: `	return byPrefix(back, id[:0])`},
	{rule: "image.remove.atomic", op: "name by name", file: "impl/store/image/remove.go",
		old: `	_, err = back.DeleteImage(record.ID, true)`, with: `	for _, name := range record.Names {
		_ = back.RemoveNames(record.ID, []string{name})
		_ = syncfs(back.GraphRoot())
	}
	_, err = back.DeleteImage(record.ID, true)`},
	{rule: "image.remove.race", op: "no rule", file: "impl/server/container_create.go",
		old: `	if errors.Is(err, store.ErrNoImage) { // removed`, with: `	if errors.Is(err, store.ErrClosed) { // removed`},
}
