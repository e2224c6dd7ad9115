package spec

// imageRequests are the requirements about images.
var imageRequests = []Requirement{}

// imagePromises are the promises about images.
var imagePromises = []Promise{}
