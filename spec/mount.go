package spec

// mountRequests are the requirements about mounts, volumes, user namespaces and devices.
var mountRequests = []Requirement{}

// mountPromises are the promises about mounts, volumes, user namespaces and devices.
var mountPromises = []Promise{}
