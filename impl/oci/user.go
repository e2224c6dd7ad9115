package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxUserFile bounds what is read of an image's passwd or group file, in bytes.
const maxUserFile = 8 << 20

// User is who a process runs as.
type User struct {
	UID, GID uint32
	// AdditionalGIDs starts with GID: a process that lacked it among its
	// supplementary groups could get round a denial to that group.
	AdditionalGIDs []uint32
}

// oci gives the user in the form of the OCI configuration.
func (u User) oci() specs.User {
	return specs.User{UID: u.UID, GID: u.GID, AdditionalGids: slices.Clone(u.AdditionalGIDs)}
}

// UserRequest is what the request and the image say about the user.
type UserRequest struct {
	RunAsUser          *runtimeapi.Int64Value
	RunAsUsername      string
	RunAsGroup         *runtimeapi.Int64Value
	SupplementalGroups []int64
	Policy             runtimeapi.SupplementalGroupsPolicy
	// ImageUser is USER of the image: "user", "uid", "user:group", "uid:gid" or "".
	ImageUser string
}

// UserRequestOf collects the request from a container's security context and
// its image; both may be nil.
func UserRequestOf(sc *runtimeapi.LinuxContainerSecurityContext, image *imgspecv1.Image) UserRequest {
	req := UserRequest{
		RunAsUser:          sc.GetRunAsUser(),
		RunAsUsername:      sc.GetRunAsUsername(),
		RunAsGroup:         sc.GetRunAsGroup(),
		SupplementalGroups: sc.GetSupplementalGroups(),
		Policy:             sc.GetSupplementalGroupsPolicy(),
	}
	if image != nil {
		req.ImageUser = image.Config.User
	}
	return req
}

const securityField = "config.linux.security_context."

// ResolveUser finds the user in the container's passwd and group files; nil is
// a file that does not exist. The group is run_as_group, else the image's if
// the image also gives the user, else the user's own in passwd, else 0. With
// policy Merge the groups that the image lists the user in come on top of
// supplemental_groups; with Strict they do not (cri-api v1
// LinuxContainerSecurityContext). Contradictions and unknown names give a
// FieldError.
func ResolveUser(passwd, groups io.Reader, req UserRequest) (User, error) {
	if err := req.check(); err != nil {
		return User{}, err
	}
	files, err := readUserFiles(passwd, groups)
	if err != nil {
		return User{}, err
	}
	field, name, group := req.names()
	if field == securityField+"run_as_username" {
		if err := files.mustHave(name); err != nil {
			return User{}, invalid(field, "%v", err)
		}
	}
	who, err := files.lookup(name, group)
	if err != nil {
		return User{}, invalid(field, "%v", err)
	}
	if req.RunAsGroup != nil {
		who.Gid = int(req.RunAsGroup.GetValue())
	}
	gids := []int{who.Gid}
	if req.Policy == runtimeapi.SupplementalGroupsPolicy_Merge {
		gids = append(gids, who.Sgids...)
	}
	for _, g := range req.SupplementalGroups {
		gids = append(gids, int(g))
	}
	if slices.Min(append(gids, who.Uid)) < 0 {
		return User{}, invalid(field, "the container's passwd or group file gives %q a negative ID", name)
	}
	return User{UID: uint32(who.Uid), GID: uint32(who.Gid), AdditionalGIDs: unique(gids)}, nil
}

// check refuses what contradicts itself or is out of range.
func (r UserRequest) check() error {
	if r.RunAsUser != nil && r.RunAsUsername != "" {
		return invalid(securityField+"run_as_username", "run_as_user is given too")
	}
	if r.RunAsGroup != nil && r.RunAsUser == nil && r.RunAsUsername == "" {
		return invalid(securityField+"run_as_group", "neither run_as_user nor run_as_username is given")
	}
	if _, ok := runtimeapi.SupplementalGroupsPolicy_name[int32(r.Policy)]; !ok {
		return invalid(securityField+"supplemental_groups_policy", "%d is not defined", r.Policy)
	}
	return errors.Join(
		checkIDs("supplemental_groups", r.SupplementalGroups...),
		checkIDs("run_as_user", r.RunAsUser.GetValue()),
		checkIDs("run_as_group", r.RunAsGroup.GetValue()),
	)
}

// checkIDs refuses what no user or group can have; the limit is the one of the
// library that reads passwd.
func checkIDs(field string, ids ...int64) error {
	for _, id := range ids {
		if id < 0 || id > math.MaxInt32 {
			return invalid(securityField+field, "%d is not between 0 and %d", id, math.MaxInt32)
		}
	}
	return nil
}

// names says which field names the user, the user, and the group if one is named.
func (r UserRequest) names() (field, name, group string) {
	switch {
	case r.RunAsUsername != "":
		return securityField + "run_as_username", r.RunAsUsername, ""
	case r.RunAsUser != nil:
		return securityField + "run_as_user", strconv.FormatInt(r.RunAsUser.GetValue(), 10), ""
	}
	name, group, _ = strings.Cut(r.ImageUser, ":")
	return "config.image.image", name, group
}

// userFiles holds both files, as each is read more than once.
type userFiles struct{ passwd, group []byte }

func readUserFiles(passwd, group io.Reader) (userFiles, error) {
	var files userFiles
	for _, f := range []struct {
		name string
		from io.Reader
		to   *[]byte
	}{{"passwd", passwd, &files.passwd}, {"group", group, &files.group}} {
		if f.from == nil {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(f.from, maxUserFile+1))
		if err != nil {
			return files, fmt.Errorf("read the container's %s file: %w", f.name, err)
		}
		if len(data) > maxUserFile {
			return files, invalid("config.image.image", "the container's %s file is larger than %d bytes", f.name, maxUserFile)
		}
		*f.to = data
	}
	return files, nil
}

// lookup finds the user, and then the group, which does not hide the groups that
// list the user.
func (f userFiles) lookup(name, group string) (*user.ExecUser, error) {
	who, err := user.GetExecUser(name, nil, bytes.NewReader(f.passwd), bytes.NewReader(f.group))
	if err != nil || group == "" {
		return who, err
	}
	in, err := user.GetExecUser(":"+group, nil, bytes.NewReader(f.passwd), bytes.NewReader(f.group))
	if err != nil {
		return nil, err
	}
	who.Gid = in.Gid
	return who, nil
}

// mustHave refuses a name that passwd does not hold, numbers included.
func (f userFiles) mustHave(name string) error {
	found, err := user.ParsePasswdFilter(bytes.NewReader(f.passwd), func(u user.User) bool { return u.Name == name })
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("user %q is not in the container's passwd file", name)
	}
	return nil
}

// unique keeps the first of each.
func unique(gids []int) []uint32 {
	var out []uint32
	for _, g := range gids {
		if !slices.Contains(out, uint32(g)) {
			out = append(out, uint32(g))
		}
	}
	return out
}
