package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A layer is one source: its values by key, and where each stands.
type layer struct {
	name   string         // file name, or the override's name
	values map[string]any // as decoded, nested
	lines  map[string]int // key path -> line, of keys and tables; empty for an override
}

// origins remembers which place set a key last: key path -> "file:line".
type origins map[string]string

// sep joins key paths inside maps: a TOML key may hold dots, but not this.
const sep = "\x00"

// readLayer reads a file; its error has the position of the first mistake of
// syntax.
func readLayer(file string) (layer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return layer{}, fmt.Errorf("configuration file: %w", err)
	}
	l := layer{name: file, values: map[string]any{}}
	if err := toml.Unmarshal(text, &l.values); err != nil {
		var bad *toml.DecodeError
		if errors.As(err, &bad) {
			line, _ := bad.Position()
			return layer{}, placed(fmt.Sprintf("%s:%d", file, line), strings.Join(bad.Key(), "."), err)
		}
		return layer{}, placed(file, "", err)
	}
	l.lines = keyLines(text)
	return l, nil
}

func overrideLayer(o Override) layer {
	return layer{name: o.Name, values: nest(strings.Split(o.Key, "."), o.Value)}
}

// apply sets every value of the layer in cfg, one by one, so that every error
// belongs to one key.
func (l layer) apply(cfg *Config, set origins) []error {
	var errs []error
	all := leaves(nil, l.values)
	slices.SortStableFunc(all, func(a, b leaf) int { return l.line(a.path) - l.line(b.path) })
	for _, leaf := range all {
		place := l.place(leaf.path)
		if err := assign(cfg, leaf.path, leaf.value); err != nil {
			errs = append(errs, placed(place, strings.Join(leaf.path, "."), err))
			continue
		}
		set[strings.Join(leaf.path, sep)] = place
	}
	return errs
}

// place names where a key stands.
func (l layer) place(path []string) string {
	if line := l.line(path); line > 0 {
		return fmt.Sprintf("%s:%d", l.name, line)
	}
	return l.name
}

// line is the line of a key, or of the nearest table or inline table around
// it; 0 if the layer is not a file.
func (l layer) line(path []string) int {
	for n := len(path); n > 0; n-- {
		if line, ok := l.lines[strings.Join(path[:n], sep)]; ok {
			return line
		}
	}
	return 0
}

type leaf struct {
	path  []string
	value any
}

// leaves flattens nested tables, sorted by key; an empty table is a leaf.
func leaves(path []string, v any) []leaf {
	table, ok := v.(map[string]any)
	if !ok || len(table) == 0 && len(path) > 0 {
		return []leaf{{path, v}}
	}
	var out []leaf
	for _, k := range slices.Sorted(maps.Keys(table)) {
		out = append(out, leaves(append(slices.Clone(path), k), table[k])...)
	}
	return out
}

func nest(path []string, value any) map[string]any {
	for i := len(path) - 1; i > 0; i-- {
		value = map[string]any{path[i]: value}
	}
	return map[string]any{path[0]: value}
}

// assign decodes one value into cfg.
func assign(cfg *Config, path []string, value any) error {
	doc, err := toml.Marshal(nest(path, value))
	if err != nil {
		return err
	}
	err = toml.NewDecoder(bytes.NewReader(doc)).DisallowUnknownFields().Decode(cfg)
	if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) {
		return errors.New("unknown option")
	}
	return err
}

// keyLines maps the keys and table headers of a valid document to lines. The
// keys inside an inline table share the line of the table.
func keyLines(text []byte) map[string]int {
	lines, table := map[string]int{}, []string(nil)
	p := unstable.Parser{}
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		var path []string
		if e.Kind == unstable.KeyValue {
			path = slices.Clone(table)
		}
		line := 0
		for it := e.Key(); it.Next(); {
			path = append(path, string(it.Node().Data))
			line = p.Shape(it.Node().Raw).Start.Line
		}
		if e.Kind != unstable.KeyValue {
			table = path
		}
		lines[strings.Join(path, sep)] = line
	}
	return lines
}

var wrongType = regexp.MustCompile(`^cannot decode TOML (\w+) into .* of type (.+)$`)

// placed puts place and key before an error and says wrong types in words
// that do not speak of Go structs.
func placed(place, key string, err error) error {
	msg := strings.TrimPrefix(err.Error(), "toml: ")
	if m := wrongType.FindStringSubmatch(msg); m != nil {
		want := m[2]
		if strings.ContainsAny(want, ".{") {
			want = "table"
		}
		msg = fmt.Sprintf("wrong type: a TOML %s where a %s belongs", m[1], want)
	}
	if key != "" {
		msg = key + ": " + msg
	}
	return fmt.Errorf("%s: %s", place, msg)
}
