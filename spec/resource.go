package spec

// resourceLife are the rows of a container's life about limits of containers and pods, and logs.
var resourceLife = []Transition{}

// resourceSandboxLife are the rows of a sandbox's life about limits of containers and pods, and logs.
var resourceSandboxLife = []Transition{}

// resourceRequests are the requirements about limits of containers and pods, and logs.
var resourceRequests = []Requirement{}

// resourcePromises are the promises about limits of containers and pods, and logs.
var resourcePromises = []Promise{}
