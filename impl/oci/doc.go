// Package oci translates CRI configuration into OCI runtime configuration.
//
// It is a pure function of its input: the CRI messages, the configuration of
// the image, and facts that somebody else looked up (the resolved user, the
// paths of namespaces and files, what this host can do). It takes a value or
// refuses it with a FieldError or an UnsupportedError that names the field; it
// never quietly weakens what was asked for.
//
// What it refuses to do:
//   - touch the file system, the network or the kernel;
//   - decide whether a container is privileged, which runtime it runs on, or
//     which namespaces a pod has: that stands in tables elsewhere;
//   - check that a host path exists, is shared, or is a symbolic link: the
//     caller passes resolved paths, and the paths of what it has mounted for
//     images and mapped owners;
//   - write annotations other than the ones it is given.
//
// Not here yet: SELinux labels. What CDI devices ask for is put on top by the
// caller.
//
// Configurations are marked as version 1.0.2 and use nothing newer, so that
// runc 1.1 and crun 1.8 take them.
package oci
