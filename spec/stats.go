package spec

// statsLife are the rows of a container's life about statistics and metrics.
var statsLife = []Transition{}

// statsSandboxLife are the rows of a sandbox's life about statistics and metrics.
var statsSandboxLife = []Transition{}

// statsPromises are the promises about statistics and metrics.
var statsPromises = []Promise{}
