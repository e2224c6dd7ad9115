package oci_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	imgspecv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/oci"
)

const (
	passwdFile = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001:Alice:/home/alice:/bin/sh\nminus:x:-5:1:::\n"
	groupFile  = "root:x:0:\nalice:x:1001:\nstaff:x:50:alice,root\ninimage:x:50000:alice\n"
)

func id(v int64) *runtimeapi.Int64Value { return &runtimeapi.Int64Value{Value: v} }

func TestResolveUser(t *testing.T) {
	strict := runtimeapi.SupplementalGroupsPolicy_Strict
	for _, c := range []struct {
		name     string
		req      oci.UserRequest
		uid, gid uint32
		groups   []uint32
	}{
		{"nothing is root", oci.UserRequest{}, 0, 0, []uint32{0, 50}},
		{"config.image.image", oci.UserRequest{ImageUser: "alice"}, 1000, 1001, []uint32{1001, 50, 50000}},
		{"image uid", oci.UserRequest{ImageUser: "1000"}, 1000, 1001, []uint32{1001, 50, 50000}},
		{"image user and group", oci.UserRequest{ImageUser: "alice:staff"}, 1000, 50, []uint32{50, 50000}},
		{"image ids not in the files", oci.UserRequest{ImageUser: "7:8"}, 7, 8, []uint32{8}},
		{"image group alone", oci.UserRequest{ImageUser: ":staff"}, 0, 50, []uint32{50}},
		{"run_as_user beats image", oci.UserRequest{RunAsUser: id(7), ImageUser: "alice:staff"}, 7, 0, []uint32{0}},
		{"run_as_user in passwd", oci.UserRequest{RunAsUser: id(1000)}, 1000, 1001, []uint32{1001, 50, 50000}},
		{"run_as_user 0 beats image", oci.UserRequest{RunAsUser: id(0), ImageUser: "alice"}, 0, 0, []uint32{0, 50}},
		{"run_as_username", oci.UserRequest{RunAsUsername: "alice", ImageUser: "0"}, 1000, 1001, []uint32{1001, 50, 50000}},
		{"run_as_group keeps the groups of the user", oci.UserRequest{RunAsUser: id(1000), RunAsGroup: id(3000)}, 1000, 3000, []uint32{3000, 50, 50000}},
		{"run_as_group with name", oci.UserRequest{RunAsUsername: "alice", RunAsGroup: id(0)}, 1000, 0, []uint32{0, 50, 50000}},
		{"merge", oci.UserRequest{RunAsUser: id(1000), SupplementalGroups: []int64{4000, 50, 4000}}, 1000, 1001, []uint32{1001, 50, 50000, 4000}},
		{"strict", oci.UserRequest{RunAsUser: id(1000), SupplementalGroups: []int64{4000}, Policy: strict}, 1000, 1001, []uint32{1001, 4000}},
		{"strict without groups", oci.UserRequest{ImageUser: "alice", Policy: strict}, 1000, 1001, []uint32{1001}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := oci.ResolveUser(strings.NewReader(passwdFile), strings.NewReader(groupFile), c.req)
			require.NoError(t, err)
			require.Equal(t, c.uid, got.UID)
			require.Equal(t, c.gid, got.GID)
			require.Equal(t, c.gid, got.AdditionalGIDs[0])
			require.ElementsMatch(t, c.groups, got.AdditionalGIDs)
		})
	}
}

func TestResolveUserWithoutFiles(t *testing.T) {
	got, err := oci.ResolveUser(nil, nil, oci.UserRequest{RunAsUser: id(5), RunAsGroup: id(6), SupplementalGroups: []int64{7}})
	require.NoError(t, err)
	require.Equal(t, oci.User{UID: 5, GID: 6, AdditionalGIDs: []uint32{6, 7}}, got)
}

func TestResolveUserRefused(t *testing.T) {
	const prefix = "config.linux.security_context."
	for _, c := range []struct {
		name  string
		req   oci.UserRequest
		field string
	}{
		{"unknown name", oci.UserRequest{RunAsUsername: "bob"}, prefix + "run_as_username"},
		{"a number is no name", oci.UserRequest{RunAsUsername: "1000"}, prefix + "run_as_username"},
		{"a name with a group", oci.UserRequest{RunAsUsername: "alice:root"}, prefix + "run_as_username"},
		{"both", oci.UserRequest{RunAsUser: id(1), RunAsUsername: "alice"}, prefix + "run_as_username"},
		{"group alone", oci.UserRequest{RunAsGroup: id(1), ImageUser: "alice"}, prefix + "run_as_group"},
		{"negative user", oci.UserRequest{RunAsUser: id(-1)}, prefix + "run_as_user"},
		{"huge user", oci.UserRequest{RunAsUser: id(1 << 32)}, prefix + "run_as_user"},
		{"negative group", oci.UserRequest{RunAsUser: id(1), RunAsGroup: id(-1)}, prefix + "run_as_group"},
		{"huge extra group", oci.UserRequest{SupplementalGroups: []int64{1, 1 << 40}}, prefix + "supplemental_groups"},
		{"policy", oci.UserRequest{Policy: 5}, prefix + "supplemental_groups_policy"},
		{"image's unknown user", oci.UserRequest{ImageUser: "bob"}, "config.image.image"},
		{"image's unknown group", oci.UserRequest{ImageUser: "alice:nobody"}, "config.image.image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := oci.ResolveUser(strings.NewReader(passwdFile), strings.NewReader(groupFile), c.req)
			requireField(t, err, c.field, false)
		})
	}
}

func TestResolveUserBadFiles(t *testing.T) {
	_, err := oci.ResolveUser(strings.NewReader(passwdFile), nil, oci.UserRequest{RunAsUsername: "minus"})
	require.ErrorContains(t, err, "negative")
	_, err = oci.ResolveUser(iotest.ErrReader(errors.New("broken disk")), nil, oci.UserRequest{})
	require.ErrorContains(t, err, "broken disk")
	endless := io.LimitReader(strings.NewReader(strings.Repeat("x\n", 5<<20)), 1<<40)
	_, err = oci.ResolveUser(nil, endless, oci.UserRequest{})
	require.ErrorContains(t, err, "group file is larger")
}

func TestUserRequestOf(t *testing.T) {
	sc := &runtimeapi.LinuxContainerSecurityContext{
		RunAsUser: id(1), RunAsGroup: id(2), RunAsUsername: "n", SupplementalGroups: []int64{3},
		SupplementalGroupsPolicy: runtimeapi.SupplementalGroupsPolicy_Strict,
	}
	require.Equal(t, oci.UserRequest{
		RunAsUser: id(1), RunAsGroup: id(2), RunAsUsername: "n", SupplementalGroups: []int64{3},
		Policy: runtimeapi.SupplementalGroupsPolicy_Strict, ImageUser: "u",
	}, oci.UserRequestOf(sc, &imgspecv1.Image{Config: imgspecv1.ImageConfig{User: "u"}}))
	require.Equal(t, oci.UserRequest{}, oci.UserRequestOf(nil, nil))
}
