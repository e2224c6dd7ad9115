package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/creasty/defaults"
	"github.com/pelletier/go-toml/v2"
)

// Where the configuration is looked for when nothing else is said.
const (
	DefaultFile      = "/etc/ocid/ocid.toml"
	DefaultDropInDir = "/etc/ocid/ocid.conf.d"
)

// Sources says where a configuration comes from. Later sources win, key by
// key; tables merge, lists are replaced.
type Sources struct {
	// File is one TOML file. Empty: none.
	File string
	// DropInDir is a directory of *.toml files, read in lexical order after
	// File. Empty: none.
	DropInDir string
	// FileRequired and DropInRequired make the absence of File or DropInDir
	// an error.
	FileRequired, DropInRequired bool
	// Overrides come last.
	Overrides []Override
}

// Override sets one option from outside the files.
type Override struct {
	Name  string // how errors call it: "--log-level"
	Key   string // dotted name of the option: "log_level"
	Value any    // a string, an integer, a boolean or a list of strings
}

// Default returns the built-in configuration. It fails only if a default tag
// of Config is wrong.
func Default() (*Config, error) {
	cfg := &Config{}
	if err := defaults.Set(cfg); err != nil {
		return nil, fmt.Errorf("built-in configuration: %w", err)
	}
	return cfg, nil
}

// Load reads all sources over the defaults. Its error joins everything that
// is wrong, one line each, in the form "file:line: key: what is wrong".
func Load(src Sources) (*Config, error) {
	cfg, err := Default()
	if err != nil {
		return nil, err
	}
	files, err := src.Files()
	if err != nil {
		return nil, err
	}
	set, errs := origins{}, []error(nil)
	for _, file := range files {
		layer, err := readLayer(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, layer.apply(cfg, set)...)
	}
	for _, o := range src.Overrides {
		errs = append(errs, overrideLayer(o).apply(cfg, set)...)
	}
	errs = append(errs, cfg.check(set)...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Paths are the files and directories whose change may change what Load
// returns.
func (src Sources) Paths() (paths []string) {
	for _, path := range []string{src.File, src.DropInDir} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	return paths
}

// Files lists the files that Load reads, in order. A file or a directory that
// is required and missing is an error.
func (src Sources) Files() ([]string, error) {
	var files []string
	switch _, err := os.Stat(src.File); {
	case src.File == "":
	case err == nil:
		files = append(files, src.File)
	case errors.Is(err, fs.ErrNotExist) && !src.FileRequired:
	default:
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if src.DropInDir == "" {
		return files, nil
	}
	entries, err := os.ReadDir(src.DropInDir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) && !src.DropInRequired {
		return files, nil
	}
	if err != nil {
		return nil, fmt.Errorf("drop-in directory: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".toml" {
			files = append(files, filepath.Join(src.DropInDir, e.Name()))
		}
	}
	return files, nil
}

// Write prints the configuration as TOML with the documentation of each
// option; Load reads it again.
func (c *Config) Write(w io.Writer) error {
	if err := toml.NewEncoder(w).Encode(c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}
