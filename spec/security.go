package spec

// securityRequests are the requirements about what a process in a container may do.
var securityRequests = []Requirement{}

// securityPromises are the promises about what a process in a container may do.
var securityPromises = []Promise{}
