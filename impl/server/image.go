package server

import (
	"context"
	"strconv"
	"strings"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"ocid/impl/store/image"
)

// PullImage pulls an image, or joins a pull of it that is under way.
func (s *Server) PullImage(ctx context.Context, req *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	if err := s.refuseHandler(req.Image); err != nil {
		return nil, err
	}
	pull := image.PullRequest{Ref: req.Image.Image, Namespace: req.GetSandboxConfig().GetMetadata().GetNamespace()}
	if a := req.GetAuth(); a != nil {
		pull.Auth = &image.Auth{
			Username: a.Username, Password: a.Password, Auth: a.Auth, ServerAddress: a.ServerAddress,
			IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken,
		}
	}
	id, err := s.Images.Pull(ctx, pull)
	if err != nil {
		return nil, imageError(err)
	}
	return &runtimeapi.PullImageResponse{ImageRef: id}, nil
}

// ImageStatus describes an image, or none if it is not there.
func (s *Server) ImageStatus(ctx context.Context, req *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	if err := s.refuseHandler(req.Image); err != nil {
		return nil, err
	}
	img, err := s.Images.Status(ctx, req.Image.Image)
	if err != nil {
		return nil, imageError(err)
	}
	if img == nil {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	res := &runtimeapi.ImageStatusResponse{Image: criImage(img)}
	if req.Verbose {
		res.Info = verboseInfo(map[string]any{"imageSpec": img.Config, "labels": img.Labels, "digest": img.Digest})
	}
	return res, nil
}

// criImage gives an image in the CRI's words: a numeric user as uid, any other
// as a name.
func criImage(img *image.Image) *runtimeapi.Image {
	out := &runtimeapi.Image{
		Id: img.ID, RepoTags: img.RepoTags, RepoDigests: img.RepoDigests, Size: img.Size, Pinned: img.Pinned,
		Spec: &runtimeapi.ImageSpec{Image: firstOr(append(img.RepoTags, img.RepoDigests...), img.ID), Annotations: img.Annotations},
	}
	user, _, _ := strings.Cut(img.User, ":")
	if uid, err := strconv.ParseInt(user, 10, 64); err == nil {
		out.Uid = &runtimeapi.Int64Value{Value: uid}
	} else {
		out.Username = user
	}
	return out
}

// ListImages lists the images, or the one that the filter names.
func (s *Server) ListImages(ctx context.Context, req *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	return s.listImages(ctx, req.GetFilter())
}

func (s *Server) listImages(ctx context.Context, f *runtimeapi.ImageFilter) (*runtimeapi.ListImagesResponse, error) {
	if err := s.refuseHandler(f.GetImage()); err != nil {
		return nil, err
	}
	res := &runtimeapi.ListImagesResponse{}
	if ref := f.GetImage().GetImage(); ref != "" {
		img, err := s.Images.Status(ctx, ref)
		if err != nil {
			return nil, imageError(err)
		}
		if img != nil {
			res.Images = append(res.Images, criImage(img))
		}
		return res, nil
	}
	all, err := s.Images.List(ctx)
	for i := range all {
		res.Images = append(res.Images, criImage(&all[i]))
	}
	return res, err
}

// RemoveImage removes an image with all its tags.
func (s *Server) RemoveImage(ctx context.Context, req *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	if err := s.refuseHandler(req.Image); err != nil {
		return nil, err
	}
	if err := s.Images.Remove(ctx, req.Image.Image); err != nil {
		return nil, imageError(err)
	}
	return &runtimeapi.RemoveImageResponse{}, nil
}

// ImageFsInfo tells what images and containers use on disk.
func (s *Server) ImageFsInfo(ctx context.Context, _ *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	use, err := s.Disk.Totals(ctx)
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ImageFsInfoResponse{
		ImageFilesystems:     []*runtimeapi.FilesystemUsage{fsUsage(use.Images, use.Mountpoint)},
		ContainerFilesystems: []*runtimeapi.FilesystemUsage{fsUsage(use.Containers, use.Mountpoint)},
	}, nil
}
