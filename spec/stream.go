package spec

// streamLife are the rows of a container's life about Exec, Attach and PortForward.
var streamLife = []Transition{}

// streamSandboxLife are the rows of a sandbox's life about Exec, Attach and PortForward.
var streamSandboxLife = []Transition{}

// streamRequests are the requirements about Exec, Attach and PortForward.
var streamRequests = []Requirement{}

// streamPromises are the promises about Exec, Attach and PortForward.
var streamPromises = []Promise{}
