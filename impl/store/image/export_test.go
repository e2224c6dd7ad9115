package image

import "fmt"

// KeyOf returns the key under which equal pulls of ref without credentials
// share a transfer.
func (i *Images) KeyOf(ref string) (string, error) {
	candidates, err := i.pullCandidates(ref)
	if err != nil {
		return "", fmt.Errorf("candidates: %w", err)
	}
	return key(candidates, PullRequest{}), nil
}
