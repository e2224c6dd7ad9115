package version_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"ocid/impl/version"
)

func TestStringIsSemantic(t *testing.T) {
	assert.Regexp(t, `^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`, version.String())
}
