package spec

const (
	registriesConf = "containers-registries.conf(5)"
	policyConf     = "containers-policy.json(5)"
	ociImage       = "OCI image specification"
)

// imageRequests are the requirements about images.
var imageRequests = []Requirement{
	req("pull.namespace", "PullImage", "sandbox_config.metadata.namespace", FileName, "own: names stand in file names"),
}

// imagePromises are the promises about images.
var imagePromises = []Promise{
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull", "PullImage returns the image's ID, and the image is listed under it.", "cri-api v1, PullImageResponse.image_ref")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.missing", "PullImage of what the registry does not have is NotFound.", criImage)},
	{By: "impl/server", RPC: "PullImage", Rule: must("image.pull.unavailable", "PullImage from a registry that can't be reached answers code Unknown and a message that begins with RegistryUnavailable.", kubelet+": strips code Unknown only, then reads the prefix")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.digest", "PullImage of content that does not match its digest is DataLoss and leaves nothing behind.", criImage)},
	{By: "impl/flight", RPC: "PullImage", Rule: must("image.pull.shared", "Callers that pull one image at a time share one transfer, and a caller that goes away takes nothing from the others.", own)},
	{By: "impl/store", RPC: "ImageStatus", Rule: must("image.status", "ImageStatus has ID, size, tags, digests and user, and no image and no error for what is not there.", "cri-api v1, ImageStatusResponse")},
	{By: "impl/store", RPC: "ListImages", Rule: must("image.list", "ListImages returns each image once with all its tags.", criImage)},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove", "RemoveImage removes an image with all its tags, and succeeds if it is not there.", criImage+": RemoveImage removes the image. This call is idempotent, and must not return an error if the image has already been removed.")},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove.used", "RemoveImage refuses an image that a container is made from or has mounted, until the container is removed.", own)},
	{By: "impl/store", RPC: "ImageFsInfo", Rule: must("image.fs", "ImageFsInfo has the mount point and the bytes used of the image and of the container filesystem.", kubelet+": refuses an answer without them")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.name.short", "A short name stands for its alias, else for the image of the first search registry of registries.conf that has it, else for one of docker.io; nobody is asked.", registriesConf).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.name.enforced", "PullImage refuses a short name that stands for images of several registries where registries.conf says enforcing.", registriesConf+": short-name-mode").needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.name.mirror", "A pull asks the mirrors of registries.conf in their order and then the registry, and the image keeps the name that was asked for.", registriesConf).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.name.invalid", "PullImage, ImageStatus and RemoveImage refuse what is no reference of an image with InvalidArgument.", criImage)},
	{By: "impl/server", RPC: "PullImage", Rule: must("image.handler", "Image calls refuse a runtime handler that is not configured.", "cri-api v1, ImageSpec.runtime_handler: If the runtime handler is unknown, the request should be rejected.")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.forms", "PullImage uses each form of credentials: user name and password, base64 auth, identity token and registry token.", "cri-api v1, AuthConfig")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.server", "Credentials that name a server_address go to that registry only, and those of a request to no mirror on another host.", "cri-api v1, AuthConfig.server_address")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.refused", "PullImage is Unauthenticated when the registry wants credentials or other ones, and leaves nothing behind.", criImage)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.invalid", "PullImage refuses an auth that is not the base64 of user:password.", "cri-api v1, AuthConfig.auth")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.secret", "Credentials stand in no error, no log and no verbose answer.", own)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.auth.file", "A request without credentials gets those that auth_dir has for the pod's namespace, else those of auth_file.", own).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.policy.rejected", "PullImage of what the signature policy rejects answers code Unknown and a message that begins with SignatureValidationFailed.", kubelet+": strips code Unknown only, then reads the prefix").needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.policy.signed", "Where the policy wants a signature, PullImage takes an image signed with the right key and no other: simple signing and sigstore.", policyConf).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.policy.namespace", "The policy that policy_dir has for a pod's namespace counts instead of the general one.", own).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.stall", "A pull of which one layer receives no byte for stall_timeout fails, naming the layer, while bytes of others arrive; a slow one does not.", own).needs(Restart)},
	{By: "impl/server", RPC: "PullImage", Rule: must("image.pull.progress", "Verbose Status shows each pull in flight, with its image, its age, and the bytes received and expected.", own)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.parallel", "No more than parallel_downloads layers of one image are in transfer at a time.", own).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.space", "PullImage is ResourceExhausted when the disk is full, and leaves nothing behind.", own).needs(Restart)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.platform", "PullImage takes from an index the image for this machine, and is NotFound when there is none or the image is for another operating system.", ociImage+", image index")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.pull.unusable", "PullImage refuses what is no container image, such as an artifact or a broken configuration, with InvalidArgument, and leaves nothing behind.", ociImage)},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.layer.compression", "Layers are gzip, zstd, zstd:chunked or not compressed, in OCI and in Docker manifests.", ociImage+", layers")},
	{By: "impl/store", RPC: "PullImage", Rule: must("image.layer.content", "A container sees what the layers hold: owners, modes, hard links, extended attributes, devices, and nothing that a whiteout took away.", ociImage+", layers")},
	{By: "impl/store", Rule: must("image.reload", "When the configuration is read again, registries.conf and the patterns of pinned images count for what begins later; a registries.conf with an error changes nothing.", own).needs(Operations)},
	{By: "impl/server", RPC: "ListImages", Rule: must("image.spec", "Image.spec has a name of the image and the annotations of its manifest.", "cri-api v1, Image.spec")},
	{By: "impl/store", RPC: "ListImages", Rule: must("image.pinned", "An image one of whose names fits a pattern of the option pinned is listed as pinned.", kubelet+": collects no image that is pinned").needs(Restart)},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove.pinned", "RemoveImage removes a pinned image.", "cri-api v1, Image.pinned: the runtime must oblige").needs(Restart)},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove.names", "RemoveImage takes a tag, a digest, an ID or the beginning of an ID.", criImage)},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove.atomic", "An image is there with all its names or gone, for every call meanwhile and after a crash.", own).needs(Restart)},
	{By: "impl/store", RPC: "RemoveImage", Rule: must("image.remove.race", "A removal that meets a pull or a creation leaves it whole or refused by a rule.", own)},
}
