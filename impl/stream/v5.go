package stream

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	"k8s.io/utils/exec"
)

// serveV5 serves a WebSocket client of v5.channel.k8s.io, the one protocol that
// current clients offer, in which a client can end its input. The library below
// knows its frames; what it lacks is the server.
func (s *Server) serveV5(w http.ResponseWriter, r *http.Request, e executor) {
	kinds := make([]wsstream.ChannelType, remotecommand.StreamResize+1)
	kinds[remotecommand.StreamErr] = wsstream.WriteChannel
	for channel, wanted := range map[int]bool{remotecommand.StreamStdIn: e.opts.Stdin, remotecommand.StreamResize: e.opts.TTY} {
		if wanted {
			kinds[channel] = wsstream.ReadChannel
		}
	}
	for channel, wanted := range map[int]bool{remotecommand.StreamStdOut: e.opts.Stdout, remotecommand.StreamStdErr: e.opts.Stderr} {
		if wanted {
			kinds[channel] = wsstream.WriteChannel
		}
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: kinds},
	})
	conn.SetIdleTimeout(s.cfg.IdleTimeout)
	_, c, err := conn.Open(w, r)
	if err != nil {
		s.log.Debug("no WebSocket", "err", err)
		return
	}
	defer conn.Close()
	sizes := make(chan Size)
	go readSizes(r, c[remotecommand.StreamResize], sizes)
	err = e.ExecInContainer(r.Context(), "", "", "", nil, c[remotecommand.StreamStdIn],
		c[remotecommand.StreamStdOut], c[remotecommand.StreamStdErr], e.opts.TTY, sizes, 0)
	if err := json.NewEncoder(c[remotecommand.StreamErr]).Encode(statusOf(err)); err != nil {
		s.log.Debug("client has gone before the end", "err", err)
	}
}

// readSizes reads the terminal's sizes as the client sends them.
func readSizes(r *http.Request, from io.Reader, sizes chan<- Size) {
	defer close(sizes)
	for in := json.NewDecoder(from); ; {
		var size Size
		if in.Decode(&size) != nil {
			return
		}
		select {
		case sizes <- size:
		case <-r.Context().Done():
			return
		}
	}
}

// status is what the protocol wants of Kubernetes' Status object.
type status struct {
	Status  string   `json:"status"`
	Message string   `json:"message,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Details *details `json:"details,omitempty"`
	Code    int      `json:"code,omitempty"`
}

type details struct {
	Causes []cause `json:"causes"`
}

type cause struct {
	Type    string `json:"reason"`
	Message string `json:"message"`
}

func statusOf(err error) status {
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return status{Status: "Success"}
	case errors.As(err, &exit):
		return status{
			Status: "Failure", Reason: remotecommand.NonZeroExitCodeReason, Message: "command terminated with non-zero " + exit.Error(),
			Details: &details{Causes: []cause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(exit.Code)}}},
		}
	}
	return status{Status: "Failure", Reason: "InternalError", Message: err.Error(), Code: http.StatusInternalServerError}
}
