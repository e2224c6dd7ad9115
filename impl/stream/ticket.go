package stream

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxTickets bounds what a caller who never comes back costs.
const maxTickets = 1000

// ErrFull says that too many URLs wait for their clients.
var ErrFull = errors.New("too many URLs wait for their clients")

// tickets are the URLs that wait for their clients.
type tickets struct {
	valid time.Duration

	mu      sync.Mutex
	waiting map[string]*ticket // by kind and token; nil when closed
}

type ticket struct {
	serve http.HandlerFunc
	timer *time.Timer
}

func newTickets(valid time.Duration) *tickets {
	return &tickets{valid: valid, waiting: map[string]*ticket{}}
}

// issue returns a new token, which nobody can guess.
func (t *tickets) issue(kind string, serve http.HandlerFunc) (string, error) {
	token := rand.Text()
	key := kind + "/" + token
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.waiting == nil:
		return "", ErrStopping
	case len(t.waiting) >= maxTickets:
		return "", ErrFull
	}
	t.waiting[key] = &ticket{serve: serve, timer: time.AfterFunc(t.valid, func() { t.redeem(kind, token) })}
	return token, nil
}

// redeem returns what a token stands for, once; nil if it stands for nothing.
func (t *tickets) redeem(kind, token string) http.HandlerFunc {
	key := kind + "/" + token
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.waiting[key]
	if found == nil {
		return nil
	}
	delete(t.waiting, key)
	found.timer.Stop()
	return found.serve
}

func (t *tickets) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, waiting := range t.waiting {
		waiting.timer.Stop()
	}
	t.waiting = nil
}
