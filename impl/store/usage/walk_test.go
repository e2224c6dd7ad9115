package usage

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPaceRestsNineTimesAsLong(t *testing.T) {
	p := &pace{began: time.Now().Add(-slice)}
	began := time.Now()
	require.NoError(t, p.step(t.Context()))
	require.GreaterOrEqual(t, time.Since(began), rest*slice)
	began = time.Now()
	require.NoError(t, p.step(t.Context()))
	require.Less(t, time.Since(began), rest*slice, "a new slice")
	var none *pace
	require.NoError(t, none.step(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.began = time.Now().Add(-time.Hour)
	require.ErrorIs(t, p.step(ctx), context.Canceled, "a rest ends with the walk")
}
