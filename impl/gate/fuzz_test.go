package gate_test

import (
	"context"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ocid/fixtures/requests"
	"ocid/impl/gate"
	"ocid/spec"
)

// FuzzRequest puts messages before the gate that no client sends: a valid
// request, or bytes that happen to be one, with fields cleared, doubled and
// filled as the fuzzer decides.
func FuzzRequest(f *testing.F) {
	rpcs := requests.RPCs()
	for i, rpc := range rpcs {
		wire, err := proto.Marshal(requests.Valid(rpc))
		require.NoError(f, err)
		f.Add(uint8(i), wire, []byte{})
		f.Add(uint8(i), []byte{}, []byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a"))
	}
	g, _ := newGate(spec.Default().Requests...)
	f.Fuzz(func(t *testing.T, n uint8, wire, decisions []byte) {
		rpc := rpcs[int(n)%len(rpcs)]
		m := requests.Valid(rpc)
		if len(wire) > 0 {
			proto.Reset(m)
			if proto.Unmarshal(wire, m) != nil {
				return
			}
		}
		(&decider{data: decisions}).scramble(m.ProtoReflect(), 0)
		sent := proto.Clone(m)
		ran := false
		info := &grpc.UnaryServerInfo{FullMethod: "/runtime.v1.RuntimeService/" + rpc}
		_, err := g.Unary(t.Context(), m, info, func(context.Context, any) (any, error) {
			ran = true
			return nil, nil
		})
		require.Equal(t, err == nil, ran, "a refused request does nothing, any other one is let through")
		require.True(t, proto.Equal(sent, m), "the gate changes no request")
		if err != nil {
			s := status.Convert(err)
			require.Equal(t, codes.InvalidArgument, s.Code())
			require.NotEmpty(t, reasonOf(t, s))
			require.True(t, utf8.ValidString(s.Message()))
			require.Less(t, len(s.Message()), 4096, "a refusal does not repeat what it refuses")
		}
		var refusal *spec.Refusal
		again := gate.Validate(rowsOf(rpc), m)
		require.Equal(t, err != nil, errors.As(again, &refusal), "the same answer again")
	})
}

func rowsOf(rpc string) (rows []spec.Requirement) {
	for _, r := range spec.Default().Requests {
		if r.RPC == rpc {
			rows = append(rows, r)
		}
	}
	return rows
}

// A decider turns the fuzzer's bytes into decisions; with no bytes left,
// nothing more is done.
type decider struct{ data []byte }

func (d *decider) next() int {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return int(b)
}

const maxDepth = 8

// scramble decides for each field whether it stays, is cleared or is set.
func (d *decider) scramble(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if len(d.data) == 0 || depth > maxDepth {
			return
		}
		switch what := d.next() % 4; {
		case what == 1:
			m.Clear(fd)
		case what == 2 && fd.IsList():
			list := m.Mutable(fd).List()
			if fd.Message() != nil {
				d.scramble(list.AppendMutable().Message(), depth+1)
			} else {
				list.Append(d.value(fd))
			}
		case fd.IsMap():
		case what >= 2 && fd.IsList():
			for j := range m.Get(fd).List().Len() {
				if fd.Message() != nil {
					d.scramble(m.Mutable(fd).List().Get(j).Message(), depth+1)
				}
			}
		case what >= 2 && fd.Message() != nil:
			d.scramble(m.Mutable(fd).Message(), depth+1)
		case what >= 2:
			m.Set(fd, d.value(fd))
		}
	}
}

// value is one of the values that checks are about.
func (d *decider) value(fd protoreflect.FieldDescriptor) protoreflect.Value {
	texts := []string{"", ".", "..", "/", "a/../..", "a=b", "a\x00b", "-", "UPPER.example", "::1", "999.1.1.1", "\u00fc", string(make([]byte, 5000))}
	numbers := []int64{0, 1, -1, 65535, 65536, 1 << 31, -1 << 31, 1 << 62}
	n := numbers[d.next()%len(numbers)]
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(texts[d.next()%len(texts)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(texts[d.next()%len(texts)]))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n != 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(n))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n))
	}
	return protoreflect.ValueOfInt64(n)
}
