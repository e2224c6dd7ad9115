package image_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ocid/impl/store/image"
)

func TestCredentials(t *testing.T) {
	addr := startRegistry(t, true)
	_, id := push(t, addr+"/web:1", busybox(t, "one"))
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password + "\x00\x00"))
	cases := []struct {
		what string
		auth *image.Auth
		want error
	}{
		{"none", nil, image.ErrUnauthorized},
		{"empty", &image.Auth{}, image.ErrUnauthorized},
		{"wrong", &image.Auth{Username: user, Password: "no"}, image.ErrUnauthorized},
		{"garbage", &image.Auth{Auth: "%%%"}, image.ErrInvalidAuth},
		{"for another registry", &image.Auth{Username: user, Password: password, ServerAddress: "https://other.test/v1/"}, image.ErrUnauthorized},
		{"user and password", &image.Auth{Username: user, Password: password}, nil},
		{"encoded", &image.Auth{Auth: encoded}, nil},
		{"for this registry", &image.Auth{Auth: encoded, ServerAddress: "http://" + addr + "/v2/"}, nil},
	}
	for _, c := range cases {
		t.Run(c.what, func(t *testing.T) {
			f := fresh(t, insecure(addr), nil)
			got, err := f.pull(t, addr+"/web:1", c.auth)
			if c.want != nil {
				assert.ErrorIs(t, err, c.want)
				assert.NotContains(t, err.Error(), password)
				f.requireNothing(t)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, id, got)
		})
	}
	t.Run("auth file", func(t *testing.T) {
		f := fresh(t, insecure(addr), nil)
		write(t, f.options.AuthFile, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr,
			base64.StdEncoding.EncodeToString([]byte(user+":"+password))))
		f.mustPull(t, addr+"/web:1")
	})
}

func TestTokensAreSent(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	var seen atomic.Value
	proxy := startProxy(t, addr, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			seen.Store(r.PostForm.Get("refresh_token"))
			_, _ = w.Write([]byte(`{"token":"fetched","access_token":"fetched"}`))
			return true
		}
		if h := r.Header.Get("Authorization"); h == "Bearer mine" || h == "Bearer fetched" {
			r.Header.Del("Authorization")
			return false
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	f := fresh(t, insecure(proxy), nil)
	_, err := f.pull(t, proxy+"/web:1", &image.Auth{RegistryToken: "mine"})
	require.NoError(t, err)
	assert.Nil(t, seen.Load(), "a registry token needs no exchange")
	_, err = f.pull(t, proxy+"/web:1", &image.Auth{IdentityToken: "refresh me"})
	require.NoError(t, err)
	assert.Equal(t, "refresh me", seen.Load())
	_, err = f.pull(t, proxy+"/web:1", &image.Auth{RegistryToken: "wrong"})
	assert.ErrorIs(t, err, image.ErrUnauthorized)
}

func TestPolicy(t *testing.T) {
	addr := startRegistry(t, false)
	push(t, addr+"/web:1", busybox(t, "one"))
	f := fresh(t, insecure(addr), nil)
	write(t, f.options.PolicyPath, `{"default":[{"type":"reject"}]}`)
	_, err := f.pull(t, addr+"/web:1", nil)
	assert.ErrorIs(t, err, image.ErrSignature)
	f.requireNothing(t)
	write(t, f.options.PolicyPath, `{`)
	_, err = f.pull(t, addr+"/web:1", nil)
	assert.ErrorContains(t, err, "signature policy")
	_, err = image.New(f.store, f.options)
	assert.ErrorContains(t, err, "signature policy")
	_, err = image.New(f.store, image.Options{})
	assert.ErrorContains(t, err, "Flights")
}
