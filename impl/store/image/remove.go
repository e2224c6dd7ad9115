package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.podman.io/storage"
)

// Remove removes the image that ref means (see Status) with all its names, in
// one storage transaction. No error if there is none; ErrInUse, naming them, if
// containers use it or it is mounted as a volume.
func (i *Images) Remove(ctx context.Context, ref string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	back, release, err := i.store.Hold()
	if err != nil {
		return err
	}
	defer release()
	record, err := i.find(back, ref)
	if err != nil || record == nil {
		return err
	}
	if top, err := back.Layer(record.TopLayer); err == nil && top.MountCount > 0 {
		return fmt.Errorf("remove image %q: %w as a volume: it is mounted at %s", ref, ErrInUse, top.MountPoint)
	}
	i.removals.Add(1)
	_, err = back.DeleteImage(record.ID, true)
	switch {
	case errors.Is(err, storage.ErrImageUnknown), errors.Is(err, storage.ErrNotAnImage):
		return nil
	case errors.Is(err, storage.ErrImageUsedByContainer):
		return fmt.Errorf("remove image %q: %w by %s", ref, ErrInUse, users(back, record.ID, err))
	case err != nil:
		return fmt.Errorf("remove image %q: %w", ref, err)
	}
	i.log.Info("image removed", "id", record.ID, "names", record.Names)
	return nil
}

// users names the containers of the image.
func users(back storage.Store, id string, cause error) string {
	list, err := back.Containers()
	if err != nil {
		return cause.Error()
	}
	var ids []string
	for n := range list {
		if list[n].ImageID == id {
			ids = append(ids, list[n].ID)
		}
	}
	if len(ids) == 0 { // gone since
		return cause.Error()
	}
	return "container " + strings.Join(ids, ", ")
}
