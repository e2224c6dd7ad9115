package spec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBookIsConsistent(t *testing.T) {
	b := Default()
	require.NoError(t, b.Check())
}
