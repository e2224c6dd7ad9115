package main

import "slices"

// faultsImage break the promises about images.
var faultsImage = slices.Concat(faultsImageStore, faultsImagePull)

var faultsImageStore = []fault{
	{rule: "image.pull", op: "returns the name", file: "impl/server/image.go",
		old: `PullImageResponse{ImageRef: id}`, with: `PullImageResponse{ImageRef: req.Image.Image + id[:0]}`},
	{rule: "image.pull", op: "does nothing for a digest", file: "impl/server/image.go",
		old: `	id, err := s.Images.Pull(ctx, pull)
`, with: `	if strings.Contains(pull.Ref, "@") {
		return &runtimeapi.PullImageResponse{ImageRef: pull.Ref}, nil
	}
	id, err := s.Images.Pull(ctx, pull)
`},
	{rule: "image.pull.missing", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrNotFound, code: codes.NotFound,`, with: `{is: image.ErrNotFound, code: codes.Internal,`},
	{rule: "image.pull.missing", op: "is no error", file: "impl/store/image/pull.go",
		old: `		return i.pullFirst(ctx, candidates, request)
	})
`, with: `		return i.pullFirst(ctx, candidates, request)
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
`},
	{rule: "image.pull.unavailable", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrRegistryUnavailable, code: codes.Unknown,`, with: `{is: image.ErrRegistryUnavailable, code: codes.Unavailable,`},
	{rule: "image.pull.unavailable", op: "no prefix", file: "impl/server/image_refuse.go",
		old: `prefix: "RegistryUnavailable: "}`, with: `prefix: ""}`},
	{rule: "image.pull.unavailable", op: "waits for ever", file: "impl/store/image/pull.go",
		old: `watchStall(ctx, i.live.Load().stall, p.progress)`, with: `watchStall(ctx, 0, p.progress)`},
	{rule: "image.pull.unavailable", op: "not for status 503", file: "impl/store/image/classify.go",
		old: `status.StatusCode >= http.StatusInternalServerError`, with: `status.StatusCode > http.StatusServiceUnavailable`},
	{rule: "image.pull.digest", op: "is no error", file: "impl/server/image.go",
		old: `	id, err := s.Images.Pull(ctx, pull)
`, with: `	id, err := s.Images.Pull(ctx, pull)
	if err != nil && strings.Contains(err.Error(), "digest") {
		err = nil
	}
`},
	{rule: "image.pull.digest", op: "leaves its files", file: "impl/store/image/pull.go",
		old: `		if rest := os.RemoveAll(p.mark); rest != nil {`, with: `		if rest := os.Remove(p.mark); rest != nil {`},
	{rule: "image.pull.shared", op: "one transfer each", file: "impl/store/image/pull.go",
		old: `i.o.Flights.Do(ctx, key(candidates, request), func`, with: `i.o.Flights.Do(ctx, key(candidates, request)+time.Now().String(), func`},
	{rule: "image.pull.shared", op: "the first one's end is all's", file: "impl/flight/flight.go",
		old: `context.WithCancelCause(context.WithoutCancel(ctx))`, with: `context.WithCancelCause(ctx)`},
	{rule: "image.pull.shared", op: "whoever goes ends it", file: "impl/flight/flight.go",
		old: `last := r.callers == 0`, with: `last := r.callers >= 0`},
	{rule: "image.status", op: "not there is an error", file: "impl/server/image.go",
		old: `		return &runtimeapi.ImageStatusResponse{}, nil`, with: `		return nil, s.refusal("image.status", 5, "image", context.Canceled)`},
	{rule: "image.status", op: "no size", file: "impl/server/image.go",
		old: `Size: img.Size, Pinned`, with: `Size: 0, Pinned`},
	{rule: "image.status", op: "no digests", file: "impl/server/image.go",
		old: `RepoDigests: img.RepoDigests, Size`, with: `Size`},
	{rule: "image.status", op: "no tags", file: "impl/server/image.go",
		old: `RepoTags: img.RepoTags, RepoDigests`, with: `RepoDigests`},
	{rule: "image.status", op: "user with its group", file: "impl/server/image.go",
		old: `	user, _, _ := strings.Cut(img.User, ":")`, with: `	user, _, _ := strings.Cut(img.User, "/")`},
	{rule: "image.status", op: "uid as a name", file: "impl/server/image.go",
		old: `strconv.ParseInt(user, 10, 64); err == nil {`, with: `strconv.ParseInt(user, 10, 64); err == nil && uid < 0 {`},
	{rule: "image.list", op: "once for each tag", file: "impl/server/image.go",
		old: `		res.Images = append(res.Images, criImage(&all[i]))`, with: `		for range all[i].RepoTags {
			res.Images = append(res.Images, criImage(&all[i]))
		}`},
	{rule: "image.list", op: "only the first tag", file: "impl/server/image.go",
		old: `		res.Images = append(res.Images, criImage(&all[i]))`, with: `		all[i].RepoTags = all[i].RepoTags[:min(1, len(all[i].RepoTags))]
		res.Images = append(res.Images, criImage(&all[i]))`},
	{rule: "image.list", op: "empty", file: "impl/server/image.go",
		old: `		res.Images = append(res.Images, criImage(&all[i]))`, with: `		_ = i`},
	{rule: "image.remove", op: "not there is an error", file: "impl/store/image/remove.go",
		old: `	if err != nil || record == nil {
		return err`, with: `	if record == nil && err == nil {
		return ErrNotFound
	}
	if err != nil {
		return err`},
	{rule: "image.remove", op: "only the tag", file: "impl/store/image/remove.go",
		old: `	_, err = back.DeleteImage(record.ID, true)`, with: `	if len(record.Names) > 2 {
		return back.RemoveNames(record.ID, []string{ref})
	}
	_, err = back.DeleteImage(record.ID, true)`},
	{rule: "image.remove", op: "does nothing", file: "impl/store/image/remove.go",
		old: `	_, err = back.DeleteImage(record.ID, true)`, with: `	_, err = back.DeleteImage(record.ID, false)`},
	{rule: "image.remove.used", op: "is no error", file: "impl/store/image/remove.go",
		old: `		return fmt.Errorf("remove image %q: %w by %s", ref, ErrInUse, users(back, record.ID, err))`, with: `		_ = users
		return nil`},
	{rule: "image.remove.used", op: "its tags go", file: "impl/store/image/remove.go",
		old: `	case errors.Is(err, storage.ErrImageUsedByContainer):
`, with: `	case errors.Is(err, storage.ErrImageUsedByContainer):
		_ = back.RemoveNames(record.ID, record.Names)
`},
	{rule: "image.remove.used", op: "another code", file: "impl/server/image_refuse.go",
		old: `{is: image.ErrInUse, code: codes.FailedPrecondition,`, with: `{is: image.ErrInUse, code: codes.Internal,`},
	{rule: "image.fs", op: "no mount point", file: "impl/server/image.go",
		old: `fsUsage(use.Images, use.Mountpoint)`, with: `fsUsage(use.Images, "")`},
	{rule: "image.fs", op: "no bytes", file: "impl/server/stats_cri.go",
		old: `UsedBytes: value(u.Bytes)`, with: `UsedBytes: value(0)`},
	{rule: "image.fs", op: "containers count as images", file: "impl/store/usage/usage.go",
		old: `			next.Containers.add(u)
`, with: `			next.Containers.add(u)
			next.Images.add(u)
`},
	{rule: "image.fs", op: "no container filesystem", file: "impl/server/image.go",
		old: `{fsUsage(use.Containers, use.Mountpoint)},`, with: `{fsUsage(use.Containers, use.Mountpoint)}[:0],`},
	{rule: "image.fs", op: "no image filesystem", file: "impl/server/image.go",
		old: `{fsUsage(use.Images, use.Mountpoint)},`, with: `{fsUsage(use.Images, use.Mountpoint)}[:0],`},
}
