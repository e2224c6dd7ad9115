package config

import (
	"maps"
	"reflect"
	"slices"
)

// Changes lists the options in which two configurations differ: those that a
// running daemon can take, and those that need its restart.
func Changes(old, new *Config) (live, restart []string) {
	was, is := map[string]any{}, map[string]any{}
	values("", reflect.ValueOf(*old), was)
	values("", reflect.ValueOf(*new), is)
	canLive := map[string]bool{}
	for _, o := range Options() {
		canLive[o.Key] = o.Live
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch {
		case reflect.DeepEqual(was[key], is[key]):
		case canLive[key]:
			live = append(live, key)
		default:
			restart = append(restart, key)
		}
	}
	return live, restart
}

// values collects the value of each option by its dotted name.
func values(prefix string, table reflect.Value, out map[string]any) {
	for f, v := range table.Fields() {
		key := prefix + f.Tag.Get("toml")
		switch {
		case f.Type.Kind() == reflect.Map:
			for name := range v.Seq2() {
				values(key+"."+name.String()+".", v.MapIndex(name), out)
			}
		case isTable(f.Type):
			values(key+".", v, out)
		default:
			out[key] = v.Interface()
		}
	}
}
