package spec

// operationPromises are the promises about how the daemon is operated.
var operationPromises = []Promise{}
