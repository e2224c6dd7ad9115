package config

import (
	"maps"
	"reflect"
	"slices"
)

// Option is one declared option, read from the tags of Config.
type Option struct {
	Key     string // dotted name; a handler's name is written NAME
	Flag    string // command line flag without dashes, or ""
	Default string // as in the tag
	Doc     string // one or more lines
	Check   string // what values it takes, see checkValue; or ""
	Live    bool   // a running daemon takes a new value
}

// Options lists every option in the order of declaration.
func Options() []Option {
	return options("", reflect.TypeFor[Config]())
}

func options(prefix string, t reflect.Type) []Option {
	var out []Option
	for f := range t.Fields() {
		o := Option{
			Key:     prefix + f.Tag.Get("toml"),
			Flag:    f.Tag.Get("flag"),
			Default: f.Tag.Get("default"),
			Doc:     f.Tag.Get("comment"),
			Check:   f.Tag.Get("check"),
			Live:    f.Tag.Get("live") != "",
		}
		switch {
		case f.Type.Kind() == reflect.Map:
			out = append(out, options(o.Key+".NAME.", f.Type.Elem())...)
		case isTable(f.Type):
			out = append(out, options(o.Key+".", f.Type)...)
		default:
			out = append(out, o)
		}
	}
	return out
}

func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Duration]()
}

// eachString calls visit with every string of a table that has a `check` tag,
// elements of lists included, and with the path of its key.
func eachString(table reflect.Value, path []string, visit func(path []string, check, value string)) {
	for f, v := range table.Fields() {
		at, check := append(slices.Clone(path), f.Tag.Get("toml")), f.Tag.Get("check")
		switch {
		case isTable(f.Type):
			eachString(v, at, visit)
		case f.Type.Kind() == reflect.Map:
			tables := v.Interface().(map[string]Handler)
			for _, name := range slices.Sorted(maps.Keys(tables)) {
				eachString(reflect.ValueOf(tables[name]), append(slices.Clone(at), name), visit)
			}
		case check == "":
		case f.Type.Kind() == reflect.Slice:
			for i := range v.Len() {
				visit(at, check, v.Index(i).String())
			}
		default:
			visit(at, check, v.String())
		}
	}
}
